"""Whether a round of review still speaks of the pictures that are there, and how far it has come."""

from dataclasses import replace
from typing import Literal

from pages.services import review_store
from pages.services.settings import RunConfig
from pages.services.synthesis import synthesis_digest
from pages.services.workspace import Workspace


def made_from(detector: str, config: RunConfig) -> str:
    """Digest of what the pictures come from: what filters or people took out of the counts makes no other picture.

    Parameters
    ----------
    detector : str
        Digest of the detector.
    """
    return synthesis_digest(detector, replace(config, synthesis=replace(config.synthesis, filters=(), rejected={})))


def state_of(ws: Workspace, detector: str, config: RunConfig) -> Literal["ready", "running", "done", "out of date"]:
    """Of the step "review": done once somebody has ended a round, running while people are at it."""
    now = review_store.current_round(ws)
    people = review_store.reviewers(ws, now.number) if now else ()
    if now is None or not people:
        return "ready"
    if now.made_from != made_from(detector, config):
        return "out of date"
    return "done" if any(one.ended and one.choices for one in people) else "running"
