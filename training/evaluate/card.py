"""The model card: a bundle, its manifest and reports on it, put into the template ``card.md``.

Nothing else goes in, no date and no machine: the same files give the same card.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Any

from milter.errors import CoopError
from milter.spam.bundle import LABELS, open_models
from milter.spam.features import SIZE
from training.evaluate import wording
from training.evaluate.measure import VERDICTS
from training.evaluate.report import FORMAT, all_sets

_TEMPLATE = Path(__file__).with_name("card.md")
# Fakes of a language below which the card says that it has hardly been learned.
_MANY = 100
_NOT_PLAIN = re.compile(r"([\\`*_\[\]<>|#~$])")


class CardError(CoopError):
    """A file that the card should be made from does not fit; the text says why."""


def read_reports(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The reports in ``paths``, as ``coop-train evaluate --json`` writes them."""
    reports = []
    for path in paths:
        report = _read_json(path)
        if not isinstance(report, dict) or report.get("format") != FORMAT:
            raise CardError(
                f"{path}: not a report of format {FORMAT}; coop-train evaluate --json writes one"
            )
        reports.append(report)
    return reports


def card(
    models: Path, version: str, reports: list[dict[str, Any]], evasions: Path | None = None
) -> str:
    """The card of a model in ``models`` with the figures of ``reports``, as Markdown."""
    bundle = open_models(models, version)
    manifest = _manifest(models / bundle.version / "manifest.json")
    for report in reports:
        _prove(report, bundle.version, manifest)
    learned = manifest["out_of_fold"]["by_language"]
    marks = bundle.thresholds
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        version=bundle.version,
        mails=manifest["data"]["mails"],
        sha256=manifest["data"]["sha256"],
        training_data=_training_data(learned),
        settings=_table(("setting", "value"), sorted(manifest["settings"].items())),
        made_with=", ".join(f"{name} {what}" for name, what in manifest["made_with"].items()),
        fake=f"{marks.fake:g}",
        unsure=f"{marks.unsure:g}",
        genuine=f"{marks.genuine:g}",
        too_little=bundle.too_little,
        figures="\n".join(_figures(report) for report in reports),
        evasions=_evasions(evasions, bundle.version, manifest) if evasions else "",
        languages=_languages(learned),
        fake_share=_fake_share(learned),
        size=SIZE,
    )


def _manifest(path: Path) -> dict[str, Any]:
    manifest = _read_json(path)
    needed = ("data", "settings", "made_with", "out_of_fold")
    if not isinstance(manifest, dict) or not all(name in manifest for name in needed):
        raise CardError(f"{path}: not a manifest; one has {', '.join(needed)}")
    return manifest


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise CardError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CardError(f"{path}: not JSON ({error})") from error


def _prove(report: dict[str, Any], version: str, manifest: dict[str, Any]) -> None:
    """Figures of another model, or of another corpus, have no place in the card."""
    told = report["judged_by"]
    if told["kind"] == "model" and told["version"] != version:
        raise CardError(f"the figures are of model {told['version']}, the card is of {version}")
    if told["kind"] == "folds" and told["sha256"] != manifest["data"]["sha256"]:
        raise CardError(
            f"the figures are of another corpus than {version} has learned from; "
            "run coop-train evaluate on that one, or fit a new model"
        )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: int = 0) -> str:
    """A Markdown table; its last ``numbers`` columns are set to the right."""
    lines = ["---"] * (len(head) - numbers) + ["--:"] * numbers
    written = [head, lines, *[[str(cell) for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in written)


def _plain(text: str) -> str:
    """Text of whatever origin, without a meaning in Markdown or HTML."""
    return _NOT_PLAIN.sub(r"\\\1", text).replace("&", "&amp;")


def _training_data(learned: dict[str, Any]) -> str:
    rows = [
        (language, *(labels.get(label, {}).get("mails", 0) for label in LABELS))
        for language, labels in learned.items()
    ]
    whole = ("all", *(sum(row[i] for row in rows) for i in range(1, len(LABELS) + 1)))
    return _table(("language", *LABELS), [*rows, whole], len(LABELS))


def _fakes(learned: dict[str, Any]) -> dict[str, int]:
    """How many fakes of each language were learned from."""
    return {
        language: labels.get("fake", {}).get("mails", 0) for language, labels in learned.items()
    }


def _languages(learned: dict[str, Any]) -> str:
    fakes = _fakes(learned)
    known = [language for language, count in fakes.items() if count >= _MANY]
    few = [f"{language} ({count})" for language, count in fakes.items() if count < _MANY]
    text = f"It knows these languages: {', '.join(known) or 'none well'}."
    if few:
        text += f"\n  Of others it has seen few fakes and misses most: {', '.join(few)}."
    return text


def _fake_share(learned: dict[str, Any]) -> str:
    mails = sum(row["mails"] for labels in learned.values() for row in labels.values())
    return wording.percent(sum(_fakes(learned).values()) / mails)


def _figures(report: dict[str, Any]) -> str:
    """Each set of a report under a heading of its own."""
    told = wording.judged_by(report)
    about = f"{told[0].upper()}{told[1:]}. {wording.caveat(report)}".strip()
    return "\n".join(_set(figures, about) for figures in all_sets(report))


def _set(figures: dict[str, Any], about: str) -> str:
    head = ("language", "label", "mails", "recall", "95 %", *(str(v) for v in VERDICTS))
    rows = [
        (
            _plain(language),
            label,
            outcome["recall"]["mails"],
            wording.share(outcome["recall"]),
            wording.interval(outcome["recall"]).removeprefix("95 %: "),
            *(outcome["verdicts"][verdict] for verdict in VERDICTS),
        )
        for language, label, outcome in wording.rows(figures)
    ]
    return "\n".join(
        [
            f"### {_plain(figures['name'])}: {figures['mails']} mails\n",
            f"{about}\n",
            _table(("", ""), wording.headlines(figures)) + "\n",
            _table(head, rows, len(head) - 2) + "\n",
        ]
    )


def _evasions(path: Path, version: str, manifest: dict[str, Any]) -> str:
    """What attempts to slip through do to recall: a list of evasion, recall and fall (shares).

    Where it comes from ``coop-train evasions``, it says by whom they were judged as well, and how
    many were at least unsure.
    """
    told = _read_json(path)
    about = "Recall of fakes that were changed to slip through."
    try:
        rows = [
            (
                _plain(str(row["evasion"])),
                wording.percent(float(row["recall"])),
                f"{100 * float(row['fall']):.1f}",
                wording.percent(float(row["noticed"])) if "noticed" in row else wording.NOTHING,
            )
            for row in told
        ]
        if told and "judged_by" in told[0]:
            _prove(told[0], version, manifest)
            about += f" {int(told[0]['mails'])} fakes, {wording.judged_by(told[0])}."
    except (KeyError, TypeError, ValueError) as error:
        raise CardError(
            f'{path}: must be a list of objects such as {{"evasion": "...", "recall": 0.9, '
            f'"fall": 0.05}} ({error})'
        ) from error
    table = _table(("evasion", "recall", "fall in points", "unsure or fake"), rows, 3)
    return f"## Evasions\n\n{about}\n\n{table}\n"
