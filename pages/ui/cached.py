"""The only file with Streamlit caches. Keys are digests and plain settings, never arrays or pictures.

Streamlit hashes only a sample of a large array, so a good part and the same part with a scratch can share a key. Every
function here is keyed by content digests; what must not be hashed has an underscore.
"""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from ias_core.overlay import anomaly_overlay
from ias_core.patchcore.anomaly_maps import anomaly_map
from pages.services import seeds, settings
from pages.services.artifacts import (
    DETECTOR,
    SYNTHESIS,
    DetectorResult,
    SynthesisResult,
    current_digest,
    digest_of,
    load_result,
)
from pages.services.blind_review import picture_png
from pages.services.contact_sheet import caption, with_rim
from pages.services.decision import current_decision
from pages.services.foreground import part_masks_of
from pages.services.kit import kit_of
from pages.services.ledger import ImageRecord
from pages.services.measured_ng import MeasuredNg, measured_ng
from pages.services.opinion import Judgements, judgements, stored
from pages.services.pictures import read_at_size
from pages.services.preview import ladder as ladder_of
from pages.services.preview import preview as preview_of
from pages.services.review_store import Item
from pages.services.settings import RunConfig, to_dict
from pages.services.thresholds import ThresholdTable, evidence_of, threshold_table
from pages.services.trust import Trust, trust_of
from pages.services.weights import release
from pages.services.workspace import Workspace, default_root


@st.cache_resource(max_entries=8, show_spinner=False)
def _workspace(root: str) -> Workspace:
    return Workspace(root)


def workspace() -> Workspace:
    """This server's workspace."""
    return _workspace(str(default_root()))


@st.cache_resource(max_entries=4, show_spinner="Reading the stored scores...")
def _result(root: str, step: str, folder: str) -> DetectorResult | SynthesisResult | None:
    return load_result(_workspace(root), step)


def detector(ws: Workspace) -> DetectorResult | None:
    """The current detector's scores; shared by all sessions, read-only."""
    return _current(ws, DETECTOR)


def synthesis(ws: Workspace) -> SynthesisResult | None:
    return _current(ws, SYNTHESIS)


def _current(ws: Workspace, step: str) -> Any:
    if current_digest(ws, step) is None:
        return None
    pointer = ws.get_choice(step)
    return _result(str(ws.root), step, pointer["folder"])


@st.cache_resource(max_entries=8, show_spinner="Setting the thresholds by every rule...")
def _table(
    detector_folder: str,
    synthesis_folder: str,
    config: str,
    ng: tuple[str, ...],
    _detector: Any,
    _synthesis: Any,
) -> ThresholdTable:
    return threshold_table(
        evidence_of(_detector, _synthesis, set(ng)),
        settings.from_dict(settings.RunConfig, json.loads(config)),
    )


def table(
    detector: DetectorResult, synthesis: SynthesisResult, config: settings.RunConfig, ng: set[str]
) -> ThresholdTable:
    """Thresholds and curves; computed once, not at every move of the slider."""
    asked = json.dumps(settings.to_dict(config), sort_keys=True)
    return _table(str(detector.folder), str(synthesis.folder), asked, tuple(sorted(ng)), detector, synthesis)


@st.cache_resource(max_entries=8, show_spinner="Measuring how far the threshold can be trusted...")
def _trust(
    root: str,
    detector_folder: str,
    synthesis_folder: str,
    seeds_folder: str,
    config: str,
    ng: tuple[str, ...],
    _table: ThresholdTable,
    _detector: Any,
    _synthesis: Any,
) -> Trust:
    asked = settings.from_dict(settings.RunConfig, json.loads(config))
    others = seeds.seed_scores(_workspace(root), _detector, _synthesis, asked)
    return trust_of(_table, _detector, asked, others)


def trust(
    ws: Workspace, detector: DetectorResult, synthesis: SynthesisResult, config: settings.RunConfig, ng: set[str]
) -> Trust:
    """What the recommended threshold is worth, beside ``table``."""
    asked = json.dumps(settings.to_dict(config), sort_keys=True)
    return _trust(
        str(ws.root),
        str(detector.folder),
        str(synthesis.folder),
        seeds.stored(ws),
        asked,
        tuple(sorted(ng)),
        table(detector, synthesis, config, ng),
        detector,
        synthesis,
    )


@st.cache_resource(max_entries=8, show_spinner="Comparing the second opinion...")
def _opinions(
    root: str,
    detector_folder: str,
    opinion_folder: str,
    decision: str,
    config: str,
    ng: tuple[str, ...],
    _detector: Any,
) -> Judgements:
    asked = settings.from_dict(settings.RunConfig, json.loads(config))
    return judgements(_workspace(root), _detector, asked, set(ng))


def opinions(ws: Workspace, detector: DetectorResult, config: settings.RunConfig, ng: set[str]) -> Judgements:
    """Second opinions beside the detector; ``ng`` are the real NG in view."""
    asked = json.dumps(settings.to_dict(config), sort_keys=True)
    decision = current_decision(ws)
    return _opinions(
        str(ws.root),
        str(detector.folder),
        stored(ws),
        decision.digest if decision else "",
        asked,
        tuple(sorted(ng)),
        detector,
    )


@st.cache_resource(max_entries=8, show_spinner="Measuring the defects in the masks...")
def _measured(root: str, detector_folder: str, ng: tuple[str, ...], _detector: Any) -> MeasuredNg:
    return measured_ng(_workspace(root), _detector, set(ng))


def measured(ws: Workspace, detector: DetectorResult, ng: set[str]) -> MeasuredNg:
    """Size and signal-to-noise ratio of real NG that have a mask."""
    return _measured(str(ws.root), str(detector.folder), tuple(sorted(ng)), detector)


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


@st.cache_data(max_entries=2000, show_spinner=False)
def _thumbnail(sha256: str, size: int, _record: ImageRecord) -> bytes:
    return _png(np.round(read_at_size(_record, size) * 255).astype(np.uint8))


def thumbnail(record: ImageRecord, size: int = 160) -> bytes:
    """PNG of a picture, square."""
    return _thumbnail(record.sha256, size, record)


@st.cache_data(max_entries=200, show_spinner="Drawing the defect...")
def _preview(
    root: str, shas: tuple[str, ...], method: str, dials: str, given: str, _records: Any, _config: RunConfig
) -> tuple[tuple[bytes, str], ...]:
    ws, asked, synthesis = _workspace(root), json.loads(dials), _config.synthesis
    made = preview_of(
        _records,
        method,
        **asked,
        side=_config.detector.input_size,
        textures=synthesis.textures,
        foregrounds=part_masks_of(ws, synthesis.foreground, _records, _config.detector.input_size),
        kit=kit_of(ws, _config, (method,)),
    )
    facts = made.facts
    pictures = (
        (np.round(made.parent * 255).astype(np.uint8), "the good part"),
        (np.round(made.image * 255).astype(np.uint8), caption(facts["severities"], facts["size_px"], facts["snr"])),
        (with_rim(made.image, made.mask), f"mask: {facts['area_px']} px; {facts['textures']}"),
    )
    return tuple((_png(picture), caption) for picture, caption in pictures)


def preview(
    ws: Workspace,
    records: tuple[ImageRecord, ...],
    method: str,
    config: RunConfig,
    *,
    severity: float | None,
    size_px: float | None,
    seed: int,
) -> list[tuple[bytes, str]]:
    """A good part, the same with a defect, and with the rim of its mask; PNG and caption. Errors are not kept."""
    dials = json.dumps({"severity": severity, "size_px": size_px, "seed": seed})
    shas = tuple(record.sha256 for record in records)
    return list(_preview(str(ws.root), shas, method, dials, _given(config), records, config))


def _given(config: RunConfig) -> str:
    """Digest of whatever a drawn defect depends on beside method, dials and seed."""
    synthesis = config.synthesis
    of_methods = [to_dict(synthesis.one_shot), to_dict(synthesis.pretrained), synthesis.sources]
    return digest_of(config.detector.input_size, synthesis.textures, synthesis.foreground, *of_methods)


@st.cache_data(max_entries=50, show_spinner="Drawing the ladder...")
def _ladder(root: str, shas: tuple[str, ...], given: str, seed: int, _records: Any, _config: RunConfig) -> Any:
    steps = ladder_of(_workspace(root), _records, _config, seed=seed)
    return tuple((_png(np.round(picture * 255).astype(np.uint8)), caption) for picture, caption in steps)


def ladder(ws: Workspace, records: tuple[ImageRecord, ...], config: RunConfig, *, seed: int) -> list[tuple[bytes, str]]:
    """The one-shot transplant on one good part, from faint to as strong as it was seen, then softer."""
    shas = tuple(record.sha256 for record in records)
    return list(_ladder(str(ws.root), shas, _given(config), seed, records, config))


@st.cache_data(max_entries=1000, show_spinner=False)
def _overlay(
    image_id: str,
    scored_by: str,
    size: int,
    low: float,
    high: float,
    opacity: float,
    _picture: Any,
    _patch: np.ndarray,
) -> bytes:
    return _png(anomaly_overlay(_picture(), anomaly_map(_patch, size), vmin=low, vmax=high, opacity=opacity))


def overlay(
    image_id: str,
    scored_by: str,
    picture: Any,
    patch_scores: np.ndarray,
    *,
    scale: tuple[float, float],
    opacity: float,
    size: int,
) -> bytes:
    """PNG of a picture under its anomaly map, on a colour scale fixed by the caller.

    ``image_id`` and ``scored_by`` identify picture and scores; ``picture`` is called only when it must be drawn.
    """
    return _overlay(image_id, scored_by, size, scale[0], scale[1], opacity, picture, patch_scores)


@st.cache_resource(max_entries=1, show_spinner="Loading the weights...", on_release=release)
def _backend(digest: str, plan: str, _load: Callable[[], Any]) -> Any:
    return _load()


def backend(digest: str, plan: str, load: Callable[[], Any]) -> Any:
    """Diffusion weights in this process, shared by all sessions; others push them out, and their memory is freed.

    ``digest`` and ``plan`` as the weights service gives them: what they are, and how they lie in memory.
    """
    return _backend(digest, plan, load)


def free_backends() -> None:
    """Give the memory of weights in this process back, as before a job that needs it."""
    _backend.clear()


@st.cache_data(max_entries=1000, show_spinner=False)
def _review_picture(key: str, size: int, synthesis_folder: str, _draw: Callable[[], bytes]) -> bytes:
    return _draw()


def review_picture(item: Item, size: int, records: dict[str, ImageRecord], synthesis: SynthesisResult) -> bytes:
    """PNG of a picture to judge, read before it is asked for. Errors are not kept."""
    return _review_picture(item.key, size, str(synthesis.folder), lambda: picture_png(item, size, records, synthesis))
