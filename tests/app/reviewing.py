"""Rounds of review for tests: begin one, and let people judge it by a rule."""

from collections.abc import Callable

from pages.services import blind_review, review_store
from pages.services.artifacts import DETECTOR, SYNTHESIS, load_result
from pages.services.blind_review import Sizes
from pages.services.review_store import Item, Round
from pages.services.steps import load_config
from pages.services.workspace import Workspace
from tests.app.conftest import NOW


def begun(ws: Workspace, *, sizes: Sizes | None = None, seed: int = 1, after: int = 0) -> Round:
    return blind_review.begin(
        ws,
        load_result(ws, DETECTOR),
        load_result(ws, SYNTHESIS),
        load_config(ws),
        sizes=sizes or Sizes(ok=6, others=3, real=4),
        seed=seed,
        after=after,
        now=NOW,
    )


def judged(
    ws: Workspace, round_: Round, reviewer: str, say: Callable[[Item], tuple[str, str] | None], *, end: bool = True
) -> None:
    """One reviewer judges every picture that ``say`` gives a verdict and a look for."""
    for item in blind_review.order_of(round_, reviewer):
        if (said := say(item)) is not None:
            verdict, look = said
            review_store.save(
                ws,
                reviewer=reviewer,
                number=round_.number,
                item=item.key,
                sequence=1,
                verdict=verdict,
                look=look,
                now=NOW,
            )
    if end:
        review_store.end(ws, reviewer=reviewer, number=round_.number, now=NOW)


def knows(item: Item) -> tuple[str, str]:
    """Right about every picture."""
    return ("OK" if item.kind == "ok" else "NG"), "real"
