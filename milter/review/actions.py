"""The buttons: of one mail, and of those that are ticked in the list."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.responses import Response

from milter.errors import NotHeld
from milter.quarantine.item import Item
from milter.review import held
from milter.review.deeds import DEEDS, DONE, Deed, Done, Outcome, do, summed
from milter.review.faults import Refused
from milter.review.filters import SIZE, Filter
from milter.review.visit import Visit

# What each outcome is as an answer to the press of a button, where it was not done.
_STATUS = {Outcome.BUSY: 409, Outcome.MISSING: 409, Outcome.REFUSED: 502}
_STATUS |= {Outcome.UNREACHABLE: 502, Outcome.UNSURE: 502}


async def one(visit: Visit) -> Response:
    """A button of a mail's own page."""
    deed = _deed(visit)
    item = await held.item(visit, visit.request.path_params["id"])
    if not item.open:
        return _not_done(visit, item, Done(Outcome.MISSING))
    if deed.delete and not visit.form.get("sure"):
        path = f"/mail/{item.id}"
        return _are_you_sure(visit, [item], path, visit.link(path))
    done = await do(visit, item, deed)
    if done.outcome not in DONE:
        return _not_done(visit, item, done)
    visit.tell("done", _said(visit, deed, done.outcome))
    return visit.go(f"/mail/{item.id}")


async def ticked(visit: Visit) -> Response:
    """A button below the list, for all mails that are ticked."""
    deed = _deed(visit)
    back = Filter.of(dict(parse_qsl(visit.form.get("back")[:2000]))).query()
    ids = list(dict.fromkeys(visit.form.all("id")))[:SIZE]
    items = [item for item in [await _theirs(visit, given) for given in ids] if item]
    if not items:
        visit.tell("fault", visit.t("bulk.nothing"))
        return visit.go("/", back)
    if deed.delete and not visit.form.get("sure"):
        return _are_you_sure(visit, items, "/held", visit.link("/", back))
    all_done = [await do(visit, item, deed) if item.open else _GONE for item in items]
    _tell_sum(visit, deed, items, all_done)
    return visit.go("/", back)


_GONE = Done(Outcome.MISSING)


def _deed(visit: Visit) -> Deed:
    deed = DEEDS.get(visit.form.get("do"))
    if not deed:
        raise Refused(400, "form")
    return deed


async def _theirs(visit: Visit, given: str) -> Item | None:
    try:
        return await held.item(visit, given)
    except NotHeld:
        return None


def _are_you_sure(visit: Visit, items: list[Item], path: str, home: str) -> Response:
    """Deleting cannot be undone: ask first, on a page of its own that needs no script."""
    action, back = visit.link(path), visit.form.get("back")
    return visit.page("delete.html", items=items, action=action, back=back, home=home)


def _said(visit: Visit, deed: Deed, outcome: Outcome) -> str:
    """What was done with one mail, in a sentence or two."""
    sentences = [visit.t(f"done.{outcome}")] if outcome is not Outcome.FILED else []
    if deed.label:
        sentences.append(visit.t("done.filed", label=visit.t(f"label.{deed.label}")))
    return " ".join(sentences)


def _not_done(visit: Visit, item: Item, done: Done) -> Response:
    """Why it was not done, as a page."""
    status = _STATUS[done.outcome]
    return visit.page("not_done.html", status, item=item, done=done)


def _tell_sum(visit: Visit, deed: Deed, items: list[Item], all_done: list[Done]) -> None:
    """How many ended how; of those that were not done, which ones and why."""
    for outcome, number in summed(all_done).items():
        kind = "done" if outcome in DONE else "fault"
        lines = [
            f"{item.subject or visit.t('mail.no_subject')}: {done.told}".removesuffix(": ")
            for item, done in zip(items, all_done, strict=True)
            if done.outcome is outcome and kind == "fault"
        ]
        visit.tell(kind, visit.t.count(f"outcome.{outcome}", number), *lines)
    if deed.label and deed.release:
        visit.tell("done", visit.t("done.filed", label=visit.t(f"label.{deed.label}")))
