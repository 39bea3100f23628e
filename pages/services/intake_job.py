"""Taking pictures in as a job: a folder of a thousand takes longer than a page may."""

from pathlib import Path
from typing import Any

from ias_core.errors import IasError, IntakeRefused
from pages.services import demo, intake
from pages.services.progress import Progress
from pages.services.workspace import Workspace

SOURCES = ("demo", "folders", "tree", "zip")


def run_job(ws: Workspace, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Worker entry. ``params``: source, paths, seed. A refused set is a result, so that its files are not lost."""

    def show(done: int, total: int, name: str = "") -> None:
        progress("intake", done, total, "reading pictures")

    source = params["source"]
    try:
        if source == "demo":
            data = demo.import_demo(ws, progress=show)
        elif source == "folders":
            ng = params.get("ng")
            data = intake.import_folders(ws, Path(params["ok"]), Path(ng) if ng else None, progress=show)
        elif source == "tree":
            data = intake.import_tree(ws, Path(params["path"]), progress=show)
        elif source == "zip":
            data = intake.import_zip(ws, Path(params["path"]), progress=show)
        else:
            raise IasError(f"expected a source among {', '.join(SOURCES)}, got {source!r}")
    except IntakeRefused as refused:
        return {
            "refused": str(refused),
            "rejected": [{"name": r.name, "reason": r.reason} for r in refused.rejected],
        }
    intake.assign_roles(ws, seed=params["seed"])
    return {"accepted": len(data.accepted), "rejected": len(data.rejected)}
