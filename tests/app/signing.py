"""Take a workspace with a fixed threshold to a record, without a page."""

from pages.services import records, seal
from pages.services.artifacts import DETECTOR, SYNTHESIS, load_result
from pages.services.decision import Decision, current_decision, fix_threshold
from pages.services.records import MEANINGS, Identity, Signed, entries_of, newest
from pages.services.release import Release, release_of
from pages.services.steps import load_config
from pages.services.thresholds import evidence_of, threshold_table
from pages.services.trust import judge
from pages.services.verification import free_ng
from pages.services.workspace import Workspace

NAMES = ("Erika Muster", "山田 太郎", "王 伟")


def fix_recommended(ws: Workspace, *, now: str) -> Decision:
    """Fix the recommended threshold."""
    detector, synthesis, config = load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), load_config(ws)
    choice = threshold_table(evidence_of(detector, synthesis, free_ng(ws)), config).recommendation.choice
    decision, _ = fix_threshold(
        ws,
        value=choice.value,
        rule=choice.rule,
        origin="recommended",
        real_in_view=False,
        detector=detector,
        synthesis=synthesis,
        config=config,
        now=now,
    )
    return decision


def release_now(ws: Workspace) -> Release:
    detector, synthesis, config = load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), load_config(ws)
    judgement = judge(ws, detector, synthesis, config, free_ng(ws))
    return release_of(ws, current_decision(ws), detector, synthesis, config, judgement)


def sign_all(ws: Workspace, *, now: str, meanings: tuple[str, ...] = MEANINGS) -> Signed:
    """Sign what the workspace shows now, by a person each."""
    release = release_now(ws)
    seal.seal(ws, release, load_result(ws, DETECTOR), load_result(ws, SYNTHESIS), load_config(ws))
    for name, meaning in zip(NAMES, meanings, strict=False):
        entries = entries_of(ws)
        records.sign(
            ws,
            identity=Identity(name),
            meaning=meaning,
            reason="looked at every missed part",
            content=release.content,
            head=entries[-1].sha256 if entries else "",
            now=now,
        )
    return newest(entries_of(ws))
