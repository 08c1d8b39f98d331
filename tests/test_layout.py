"""Who may import whom: the house's one plan, read from the imports themselves."""

from __future__ import annotations

import ast
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Each folder or file, and what of ours it may import. README has the same plan for people.
MAY_IMPORT = {
    "milter.errors": set(),
    "milter.smtp": {"milter.errors", "milter.smtp"},
    "milter.mail": {"milter.errors", "milter.mail"},
    "milter.spam": {"milter.errors", "milter.mail", "milter.spam"},
    "milter.trust": {
        "milter.errors",
        "milter.mail",
        "milter.spam.verdict",
        "milter.smtp.content",
        "milter.smtp.envelope",
        "milter.sections",
        "milter.config",
        "milter.keys",
        "milter.complaint",
        "milter.trust",
    },
    "milter.quarantine": {
        "milter.errors",
        "milter.mail",
        "milter.smtp",
        "milter.spam",
        "milter.maildir",
        "milter.durable",
        "milter.complaint",
        "milter.quarantine",
    },
    "milter.metrics": {
        "milter.errors",
        "milter.spam",
        "milter.smtp",
        "milter.shared",
        "milter.metrics",
    },
    "milter.digest": {"milter"},
    "milter.review": {"milter"},
    "milter.commands": {"milter"},
    "milter": {"milter"},
    "training": {
        "milter.errors",
        "milter.mail",
        "milter.spam",
        "milter.settings_file",
        "milter.durable",
        "training",
    },
}
# The mail path must stay light, and the learner's libraries are none of its business.
FORBIDDEN = {"sklearn", "joblib", "scipy", "training"}
# smtp and mail speak of octets and text; numbers are spam's. mail edits without Python's email.
NO_LIBRARY = {
    "milter.smtp": {"numpy", "email", "rich", "dkim"},
    "milter.mail": {"numpy", "asyncio", "socket", "aiosmtpd", "rich", "email"},
    "milter.spam": {"asyncio", "socket", "aiosmtpd", "rich"},
}


def modules() -> list[tuple[str, Path]]:
    files = sorted([*ROOT.glob("milter/**/*.py"), *ROOT.glob("training/**/*.py")])
    return [(".".join(path.relative_to(ROOT).with_suffix("").parts), path) for path in files]


def imports(path: Path) -> set[str]:
    """Full names of all modules that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


def shelf(module: str) -> str:
    """The longest entry of the plan that a module belongs to."""
    return max((s for s in MAY_IMPORT if f"{module}.".startswith(f"{s}.")), key=len)


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: str(value)[-40:])
def test_imports_keep_to_the_plan(module: str, path: Path) -> None:
    place = shelf(module)
    for name in imports(path):
        top = name.partition(".")[0]
        if top in ("milter", "training") and name not in ("milter", "training"):
            allowed = MAY_IMPORT[place]
            assert any(f"{name}.".startswith(f"{a}.") for a in allowed) or any(
                a.startswith(f"{name}.") for a in allowed
            ), f"{module} must not import {name}"
        if place.startswith("milter"):
            assert top not in FORBIDDEN, f"{module} must not import {name}"
        assert top not in NO_LIBRARY.get(place, ()), f"{module} must not import {name}"


def test_the_plan_has_a_place_for_every_folder() -> None:
    folders = {path.parent.name for path in ROOT.glob("milter/*/__init__.py")}
    assert {f"milter.{name}" for name in folders} <= set(MAY_IMPORT)


def test_milter_is_ours() -> None:
    """pymilter installs a C module of the same name: it must never be a dependency."""
    import milter

    assert milter.__file__
    assert Path(milter.__file__) == ROOT / "milter" / "__init__.py"
    assert Path(milter.__file__).read_text() == ""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    assert not any("pymilter" in line.lower() for line in wanted)
    assert "pymilter" not in (ROOT / "requirements.lock").read_text().lower()


def test_shapes() -> None:
    """No function of 100 lines, no file of 600: the long tails are where nobody finds anything."""
    for _, path in modules():
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") < 600, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines < 100, f"{path}: {node.name} has {lines} lines"
