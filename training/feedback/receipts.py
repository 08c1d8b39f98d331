"""Receipts: what became of each feedback mail, in ``receipts.jsonl`` beside the bundles.

One line a fate, a JSON object with the fields of ``Fate``; the file always tells of the last
retrain, and of mails that were there before and are no more. It is for people: nothing is learned
from it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

from milter import durable
from milter.mail.identity import bare_id
from training.feedback.files import NotRead, opened
from training.feedback.mails import OUTCOMES, REASONS, Fate

#: The name of the file in the folder of the bundles.
NAME = "receipts.jsonl"
# Mails that are there no more and are told of all the same; older ones go.
_MOST_GONE = 10_000
_FIELDS = {field.name for field in fields(Fate)}


def settled(fates: Iterable[Fate], model: str, left_out: Collection[str] = ()) -> list[Fate]:
    """The fates of a retrain whose candidate was published as ``model``.

    ``left_out``: keys of mails that it was made without, each alone with its label.
    """
    return [_settled(fate, model, fate.key in left_out) for fate in fates]


def _settled(fate: Fate, model: str, left_out: bool) -> Fate:
    if fate.outcome != "learned":
        return fate
    if left_out:
        return replace(fate, outcome="refused", reason="alone")
    return replace(fate, model=model)


def turned_down(fates: Iterable[Fate]) -> list[Fate]:
    """The fates of a retrain whose candidate the gate refused: nothing was learned."""
    return [
        replace(fate, outcome="refused", reason="gate") if fate.outcome == "learned" else fate
        for fate in fates
    ]


def write_receipts(models: Path, fates: Sequence[Fate]) -> None:
    """Replace the receipts in one step that no reader can see half done.

    Mails of the former receipts that are nowhere among ``fates`` are kept as gone.
    """
    lines = [
        json.dumps(asdict(fate), ensure_ascii=True) for fate in [*_gone(models, fates), *fates]
    ]
    # Who wrote to whom, and in which folder it lies, is no matter of every user of the machine.
    durable.replace(models / NAME, "".join(f"{line}\n" for line in lines).encode(), 0o640)


def _gone(models: Path, fates: Sequence[Fate]) -> list[Fate]:
    present = {fate.key for fate in fates}
    gone: dict[str, Fate] = {}
    for fate in load(models):
        if fate.key and fate.key not in present:
            withdrawn = replace(fate, outcome="withdrawn", reason="gone", model="")
            gone.setdefault(fate.key, withdrawn)
    return list(gone.values())[-_MOST_GONE:]


def load(models: Path) -> list[Fate]:
    """All receipts, none where there is no file; a line that is none is passed over.

    They are no reason to stop a retrain, which writes them anew.
    """
    try:
        with opened(models / NAME) as file:
            lines = file.read().decode("utf-8", "replace").splitlines()
    except NotRead:
        return []
    return [fate for line in lines if (fate := _parsed(line))]


def _parsed(line: str) -> Fate | None:
    try:
        facts = json.loads(line)
    except ValueError:
        return None
    if not isinstance(facts, dict) or not facts.keys() >= _FIELDS:
        return None
    facts = {name: facts[name] for name in _FIELDS}
    if not all(isinstance(value, str) for value in facts.values()):
        return None
    known = facts["outcome"] in OUTCOMES and facts["reason"] in REASONS
    return Fate(**facts) if known else None


def find(models: Path, name: str) -> list[Fate]:
    """The receipts of a mail by its Message-ID (with brackets or without) or its key."""
    wanted = bare_id(name.encode()).decode()
    return [fate for fate in load(models) if wanted and wanted in (fate.message_id, fate.key)]
