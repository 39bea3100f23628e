"""Where the engineer stands: the state of each step, and the one thing that is missing where it cannot run."""

from dataclasses import dataclass
from typing import Literal

from pages.services import jobs, settings
from pages.services.artifacts import DETECTOR, SYNTHESIS, current_digest
from pages.services.decision import current_decision
from pages.services.detection import detector_digest
from pages.services.intake import current
from pages.services.records import Signed, entries_of, newest, newest_approved
from pages.services.review_state import state_of
from pages.services.seal import broken
from pages.services.synthesis import synthesis_digest
from pages.services.verification import free_ng, last_verification
from pages.services.workspace import Workspace

State = Literal["empty", "ready", "running", "done", "out of date"]

TITLES = {
    "data": "Data",
    "detector": "Detector",
    "synthesis": "Synthetic NG",
    "thresholds": "Thresholds",
    "review": "Expert review",
    "verification": "Verification",
    "sign_off": "Sign-off",
    "line": "On the line",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the work.

    missing : str   why it cannot run, empty when it can
    needs : str     key of the step that provides it
    """

    key: str
    state: State
    missing: str = ""
    needs: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.key]


def load_config(ws: Workspace) -> settings.RunConfig:
    """The workspace's settings; defaults where none were chosen."""
    return settings.from_dict(settings.RunConfig, ws.get_choice("config", {}))


def save_config(ws: Workspace, config: settings.RunConfig) -> None:
    ws.set_choice("config", settings.to_dict(config))


def steps(ws: Workspace) -> dict[str, Step]:
    """State of every step. Nothing is recomputed here: a changed input marks what depends on it."""
    entries = entries_of(ws)
    signed, approved = newest(entries), newest_approved(entries)
    void = bool(signed and broken(ws, signed, load_config(ws)))
    states = _before_the_line(ws, signed, void)
    if approved is None:
        return states | {"line": Step("line", "empty", "no threshold is approved yet", "sign_off")}
    if approved != signed:
        void = bool(broken(ws, approved, load_config(ws)))
    # What was once approved can be watched whatever becomes of the steps before it; only the export asks for them.
    return states | {"line": Step("line", "out of date" if void else "ready")}


def _before_the_line(ws: Workspace, signed: Signed | None, void: bool) -> dict[str, Step]:
    running = {job.kind for job in jobs.active(ws)}
    if "intake" in running:
        return {
            key: Step(key, "running" if key == "data" else "empty", "pictures are being read", "data") for key in TITLES
        }
    if current(ws) is None:
        no_data = {key: Step(key, "empty", "no pictures yet: load good parts", "data") for key in TITLES}
        return no_data | {"data": Step("data", "ready")}
    config = load_config(ws)
    wanted = detector_digest(ws, config)
    states = {"data": Step("data", "done")}
    states["detector"] = Step("detector", _state(ws, DETECTOR, wanted, bool(running & {"detector", "pipeline"})))
    detector_done = states["detector"].state == "done"
    if states["detector"].state == "running":
        states["synthesis"] = Step(
            "synthesis",
            "running" if "pipeline" in running else "empty",
            "the detector is being built",
            "detector",
        )
    elif not detector_done:
        states["synthesis"] = Step("synthesis", "empty", "the detector is missing or out of date", "detector")
    else:
        asked = synthesis_digest(wanted, config)
        states["synthesis"] = Step("synthesis", _state(ws, SYNTHESIS, asked, bool(running & {"synthesis", "pipeline"})))
    if states["synthesis"].state != "done":
        lacking = ("the detector", "detector") if not detector_done else ("synthetic NG", "synthesis")
        for key in ("thresholds", "review", "verification", "sign_off"):
            states[key] = Step(key, "empty", f"{lacking[0]}: missing, running or out of date", lacking[1])
        return states
    decision = current_decision(ws)
    basis = (
        current_digest(ws, DETECTOR),
        current_digest(ws, SYNTHESIS),
        settings.to_dict(config)["thresholds"],
    )
    fits = decision is not None and (decision.detector, decision.synthesis, decision.settings) == basis
    states["thresholds"] = Step("thresholds", "done" if fits else "out of date" if decision else "ready")
    states["review"] = Step("review", state_of(ws, wanted, config))
    if not fits or decision is None:
        for key in ("verification", "sign_off"):
            states[key] = Step(key, "empty", "no threshold is fixed for this detector yet", "thresholds")
        return states
    verified = last_verification(ws)
    free = free_ng(ws)
    if "score" in running:
        states["verification"] = Step("verification", "running")
    elif verified and verified["decision"] == decision.digest and set(verified["ng"]) == free:
        states["verification"] = Step("verification", "done")
    elif free:
        states["verification"] = Step("verification", "out of date" if verified else "ready")
    else:
        states["verification"] = Step("verification", "ready", "no real NG is free for verification", "data")
    signed_state: State = "ready"
    if void:
        signed_state = "out of date"
    elif signed and signed.approved:
        signed_state = "done"
    states["sign_off"] = Step("sign_off", signed_state)
    return states


def _state(ws: Workspace, step: str, wanted: str, running: bool) -> State:
    if running:
        return "running"
    have = current_digest(ws, step)
    return "ready" if have is None else "done" if have == wanted else "out of date"
