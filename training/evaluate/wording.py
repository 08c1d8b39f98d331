"""Figures as words: the same ones in the terminal, on the page and in the card."""

from __future__ import annotations

from typing import Any

#: What stands where a set cannot tell.
NOTHING = "–"


def judged_by(report: dict[str, Any]) -> str:
    """Who judged the mails of a report."""
    told = report["judged_by"]
    if told["kind"] == "model":
        return f"judged by model {told['version']}"
    return (
        f"each mail judged by a model that saw none of its theme ({told['folds']} folds of "
        "whole themes)"
    )


def caveat(report: dict[str, Any]) -> str:
    """What to bear in mind of a report's figures, if there is such a thing."""
    if report["judged_by"]["kind"] == "model":
        return ""
    return (
        "Thresholds and calibration were set on these same judgements, so what hangs on them is a "
        "little too kind."
    )


def percent(share: float) -> str:
    """A share with as many digits as it bears: 0 %, 0.13 %, 4.2 %, 87 %, 99.87 %."""
    rest = min(share, 1 - share)
    digits = 0 if rest <= 0 else 2 if rest < 0.01 else 1 if share < 0.1 else 0
    return f"{share:.{digits}%}".replace("%", " %")


def share(rate: dict[str, Any] | None) -> str:
    """The share of a rate."""
    return percent(rate["count"] / rate["mails"]) if rate else NOTHING


def counted(rate: dict[str, Any] | None) -> str:
    """A rate as ``3 of 400 (95 %: 0.15 % to 2.2 %)``."""
    if not rate:
        return NOTHING
    return f"{rate['count']} of {rate['mails']} ({interval(rate)})"


def interval(rate: dict[str, Any]) -> str:
    """The 95 % interval of a rate."""
    return f"95 %: {percent(rate['low'])} to {percent(rate['high'])}"


def score(value: float | None) -> str:
    """p(fake) of a mail, if it has one."""
    return NOTHING if value is None else f"{value:.4f}"


def recall(figures: dict[str, Any], label: str = "fake") -> dict[str, Any] | None:
    """The rate of a label that got its own verdict; None where a set has no such mail."""
    outcome = figures["labels"].get(label)
    return outcome["recall"] if outcome else None


def one_minus_area(figures: dict[str, Any]) -> str:
    """(1-ROC area)%."""
    return f"{figures['roc']['one_minus_area_percent']:.2f} %" if figures["roc"] else NOTHING


def missed(figures: dict[str, Any]) -> str:
    """Misses at 0.1 % false positives, or why that is not to be had."""
    found = figures["misses"]
    if not found:
        return NOTHING
    if found["resolved"]:
        return f"{share(found['missed'])} of {found['missed']['mails']} fakes"
    return (
        f"not to be had: only {found['wanted']} wanted mails; with none of them called fake, "
        f"{share(found['missed'])} of {found['missed']['mails']} fakes are missed"
    )


def calibrated(figures: dict[str, Any]) -> str:
    """The calibration in one line."""
    found = figures["calibration"]
    if not found:
        return NOTHING
    return (
        f"log loss {found['log_loss']:.3f}, Brier score {found['brier']:.3f}, "
        f"expected calibration error {found['expected_error']:.3f}"
    )


def headlines(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """The main figures that a set has, each with its name."""
    lines = [("wanted mail called fake", counted(figures["false_positives"]))]
    for kind, rate in (figures["hardness"] or {}).items():
        lines.append((f"... {'hard cases' if kind == 'hard' else 'everyday mail'}", counted(rate)))
    lines += [
        ("fakes called fake", counted(recall(figures))),
        ("1 - ROC area", one_minus_area(figures)),
        ("misses at 0.1 % false positives", missed(figures)),
        ("calibration", calibrated(figures)),
    ]
    return [(name, value) for name, value in lines if value != NOTHING]


def rows(figures: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Language, label and outcome of each part of a set; the whole comes first, as ``all``."""
    found = [("all", label, outcome) for label, outcome in figures["labels"].items()]
    if len(figures["by_language"]) > 1 or "unknown" not in figures["by_language"]:
        for language, part in figures["by_language"].items():
            found += [(language, label, outcome) for label, outcome in part["labels"].items()]
    return found
