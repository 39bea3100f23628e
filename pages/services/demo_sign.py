"""The demo taken to a complete record: threshold fixed, verified, signed by three made-up people, handed over."""

from pathlib import Path

from ias_core.errors import IasError
from pages.services import handover, line_export, records, seal
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.decision import fix_threshold
from pages.services.product import Product, save_product
from pages.services.progress import Progress
from pages.services.records import MEANINGS, Identity
from pages.services.release import release_of
from pages.services.settings import RunConfig
from pages.services.trust import Judgement
from pages.services.verification import verify
from pages.services.workspace import Workspace

_PRODUCT = Product(
    part="solar cell, monocrystalline (demo)",
    line="none: public pictures (ELPV)",
    camera="electroluminescence camera",
    light="electroluminescence",
    proposed_release="Demonstration only: nothing is released on it.",
)
_NAMES = ("Demo engineer", "Demo reviewer", "Demo quality manager")  # one for each meaning
_REASON = "demonstration of a record; nobody looked at these parts"


def sign_demo(
    ws: Workspace,
    folder: Path,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    judgement: Judgement,
    progress: Progress,
    *,
    now: str,
) -> str:
    """Write ``record.json``, HTML, PDF and ``line/`` to ``folder``; returns the record hash.

    Raises
    ------
    IasError
        With these settings there is no recommended threshold.
    """
    choice = judgement.table.recommendation.choice
    if choice.value is None:
        raise IasError(f"there is no threshold to sign: {choice.reason}")
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
    verify(ws, detector, decision)
    save_product(ws, _PRODUCT)
    release = release_of(ws, decision, detector, synthesis, config, judgement)
    seal.seal(ws, release, detector, synthesis, config)
    for name, meaning in zip(_NAMES, MEANINGS, strict=True):
        entries = records.entries_of(ws)
        records.sign(
            ws,
            identity=Identity(name),
            meaning=meaning,
            reason=_REASON,
            content=release.content,
            head=entries[-1].sha256 if entries else "",
            now=now,
        )
    handover.write(ws, folder, now=now)
    line_export.export(ws, folder, forms=(), progress=progress)
    return handover.write(ws, folder, now=now).record  # once more: its hashes now cover what the line is given
