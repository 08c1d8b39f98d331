"""How good a model is: mails to verdicts, verdicts to figures, figures to table, page and card.

    sets -> report (measure) -> table, page (plots), card

What stands in the middle is the report: a plain object of JSON that all the others are made from.
"""
