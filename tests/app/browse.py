"""Pages without a browser: open one, and read what stands on it."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from pages.services import jobs
from pages.services.steps import TITLES
from pages.services.workspace import Workspace

APP = str(Path(__file__).resolve().parents[2] / "app.py")
PAGES = tuple(TITLES)
_TEXTS = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success")


def open_page(key: str) -> AppTest:
    """One page, as by a deep link: with ``pages/`` beside it, ``app.py`` itself does not run."""
    return AppTest.from_file(APP, default_timeout=60).switch_page(f"pages/{key}.py").run()


def text_of(page: AppTest) -> str:
    """Everything there is to read: one line per text, metric, button, link and progress bar."""
    lines = [element.value for kind in _TEXTS for element in getattr(page, kind)]
    lines += [f"{metric.label}: {metric.value}" for metric in page.metric]
    lines += [button.label for button in page.button]
    lines += [progress.proto.text for progress in page.get("progress")]
    return "\n".join(lines + links_of(page))


def links_of(page: AppTest) -> list[str]:
    """Labels of the links in the page itself, without the rail."""
    return [link.proto.label for link in page.main.get("page_link")]


def button_of(page: AppTest, label: str):
    (button,) = [button for button in page.button if button.label == label]
    return button


class Busy:
    """Holds the worker's place and runs the first waiting job, without doing anything for it."""

    def __init__(self, ws: Workspace, kind: str, params: dict | None = None) -> None:
        jobs.submit(ws, kind, params or {})
        self._place = jobs.take_place(ws)
        self.job = jobs.claim_next(ws)
        self._ws = ws
        jobs.report(
            ws, self.job.id, stage="features", done=3, total=12, message="reading good parts", stage_started=0.0
        )

    def end(self, state: str, **how) -> None:
        jobs.finish(self._ws, self.job.id, state, **how)
        self.close()

    def close(self) -> None:
        self._place.close()
