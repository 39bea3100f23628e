"""Workspaces for page and service tests. No test here starts a worker process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pages.services import jobs
from pages.services.artifacts import DETECTOR, SYNTHESIS, load_result
from pages.services.decision import Decision, fix_threshold
from pages.services.thresholds import ThresholdTable, evidence_of, threshold_table
from pages.services.verification import free_ng
from pages.services.workspace import Workspace
from tests.app import small_run
from tests.app.browse import Busy

NOW = "2026-01-05T10:00:00+01:00"


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """The small product after detector and synthesis; never changed, only copied."""
    return small_run.build(tmp_path_factory.mktemp("small"))


@pytest.fixture
def empty_ws(tmp_path, monkeypatch) -> Workspace:
    """A new workspace, and the one the pages open."""
    return _opened_by_pages(Workspace(tmp_path / "empty"), monkeypatch)


@pytest.fixture
def ws(built, tmp_path, monkeypatch) -> Workspace:
    """A copy of the small product, and the one the pages open."""
    return _opened_by_pages(small_run.copy_of(built, tmp_path / "copy"), monkeypatch)


def _opened_by_pages(ws: Workspace, monkeypatch) -> Workspace:
    monkeypatch.setenv("IAS_WORKSPACE", str(ws.root))
    monkeypatch.setattr(jobs, "ensure_worker", lambda ws: None)
    return ws


@pytest.fixture
def busy() -> Iterator[Callable[..., Busy]]:
    """``busy(ws, kind)`` sets a job running."""
    made: list[Busy] = []

    def start(*arguments) -> Busy:
        made.append(Busy(*arguments))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def table(ws) -> ThresholdTable:
    """What the rules say about the small product."""
    return threshold_table(
        evidence_of(load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), free_ng(ws)), small_run.CONFIG
    )


@pytest.fixture
def fix(ws, table) -> Callable[..., tuple[Decision, int]]:
    """Fix a threshold on the small product; the recommended one where nothing else is asked."""

    def fix(value: float | None = None, *, origin: str = "recommended", real_in_view: bool = False, now: str = NOW):
        recommended = table.recommendation.choice
        return fix_threshold(
            ws,
            value=recommended.value if value is None else value,
            rule="" if origin == "by hand" else recommended.rule,
            origin=origin,
            real_in_view=real_in_view,
            detector=load_result(ws, DETECTOR),
            synthesis=load_result(ws, SYNTHESIS),
            config=small_run.CONFIG,
            now=now,
        )

    return fix
