"""The control set of a method that redraws surface: where it draws no defect, it must score like a good part.

Methods that only add a difference to the good part have nothing to redraw; they are asked all the same, and answer with
the good part's own pixels.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from calibration.control import DIFFERS, IDENTICAL, SHARE, Control, control
from pages.services.settings import MIXTURE, RunConfig

if TYPE_CHECKING:
    from pages.services.synthesis import Setup

COUNT = 20


def control_facts(name: str, setup: Setup, config: RunConfig) -> dict[str, Any]:
    """JSON-ready "control" and, where the method must not count, "blocked": why; empty for methods without one."""
    from ias_core.synthesis.control_set import control_pictures
    from pages.services.made import method_class

    if name == MIXTURE or not method_class(name).has_control:
        return {}
    pictures, parents = setup.kit.run(
        name,
        lambda method: control_pictures(
            method,
            setup.pictures,
            count=min(COUNT, len(setup.pictures)),
            seed=config.seed,
            size_px=config.synthesis.size_px.get(name),
            foregrounds=setup.parts,
        ),
    )
    before = setup.parent_scores[parents]
    unchanged = bool((pictures == setup.pictures[parents]).all())
    after = before if unchanged else setup.scored(list(pictures)).image_scores
    found = control(before, after, setup.parent_scores, unchanged=unchanged)
    blocked = _why_blocked(name, found)
    return {"control": asdict(found)} | ({"blocked": blocked} if blocked else {})


def sentence(found: dict[str, Any]) -> str:
    """What a control set shows, for a person.

    Examples
    --------
    >>> sentence({"verdict": "identical", "n": 20})
    'Control: where no defect is drawn, 20 of 20 pictures are the good part pixel for pixel.'
    """
    n = found["n"]
    if found["verdict"] == IDENTICAL:
        return f"Control: where no defect is drawn, {n} of {n} pictures are the good part pixel for pixel."
    return (
        f"Control: of {n} good parts redrawn without a defect {found['lifted']} rise above the score that "
        f"{100 * (1 - SHARE):.0f} % of good parts exceed, {found['lowered']} fall below it (p = {found['p']:.2f}); the "
        f"median score moves by {found['median_shift']:+.2f}: {found['verdict']}."
    )


def _why_blocked(name: str, found: Control) -> str:
    if found.verdict != DIFFERS:
        return ""
    return (
        f"{name} is blocked: {found.lifted} of {found.n} good parts that it redrew without a defect score above what "
        f"{100 * SHARE:.0f} % of good parts do, so the detector would find its marks and not its defects"
    )
