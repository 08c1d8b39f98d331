"""The page about the model, for admins."""

from __future__ import annotations

import asyncio
import logging

from starlette.responses import FileResponse, Response

from milter.review import bundles
from milter.review.faults import Refused
from milter.review.guard import SANDBOX
from milter.review.visit import Visit

log = logging.getLogger(__name__)


async def show(visit: Visit) -> Response:
    """What is in use, how good it is, and what was before."""
    models = visit.desk.settings.model.folder
    version = visit.desk.model().version
    trail = await asyncio.to_thread(bundles.trail, models, version)
    return visit.page(
        "model.html",
        version=version,
        thresholds=visit.desk.model().thresholds,
        figures=await asyncio.to_thread(bundles.figures, models, version),
        trail=trail[::-1],
        back=_way_back(visit, trail),
        last=await asyncio.to_thread(bundles.last_retrain, models),
        report=(models / bundles.REPORT).is_file(),
    )


async def ask(visit: Visit) -> Response:
    """The page that asks whether to go back."""
    version, older = _versions(visit)
    return visit.page("rollback.html", version=version, older=older)


async def roll_back(visit: Visit) -> Response:
    """Go back to the model before, unless another came into use since the page was shown."""
    version, _ = _versions(visit)
    if visit.form.get("version") != version:
        raise Refused(409, "changed")
    done, told = await bundles.roll_back(visit.desk.settings.model.folder.absolute())
    log.info("coop-train rollback, for %s: %s", visit.known.name, told)
    if not done:
        visit.tell("fault", visit.t("rollback.failed"), told)
        return visit.go("/model")
    visit.desk.model.reload()
    visit.tell("done", visit.t("rollback.done"))
    return visit.go("/model")


async def report(visit: Visit) -> Response:
    """The report of the last retrain: a page with styles of its own, so it is a file to save."""
    path = visit.desk.settings.model.folder / bundles.REPORT
    if not path.is_file():
        raise Refused(404, "missing")
    headers = {"content-security-policy": SANDBOX}
    return FileResponse(path, media_type="text/html", filename="retrain.html", headers=headers)


def _versions(visit: Visit) -> tuple[str, str]:
    """The published version, and the one before it; raises ``Refused`` where there is no way."""
    settings = visit.desk.settings.model
    version = bundles.current(settings.folder, settings.version)
    trail = bundles.trail(settings.folder, version)
    if _way_back(visit, trail):
        raise Refused(409, "no_way_back")
    return version, trail[-2].version


def _way_back(visit: Visit, trail: list[bundles.Published]) -> str:
    """Why there is none, as the name of a text; empty where there is."""
    if not bundles.can_roll_back():
        return "no_training"
    if visit.desk.settings.model.version != "current":
        return "pinned"
    return "" if len(trail) > 1 else "nothing_before"
