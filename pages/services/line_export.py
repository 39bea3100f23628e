"""What the line is given: the signed threshold with its detector in every form that this machine can make and check."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ias_core.errors import IasError
from ias_core.patchcore import line_recipe
from ias_core.patchcore.line_forms import FORMS, OWN
from ias_core.patchcore.line_threshold import AnomalibDecision, anomalib_decision, line_threshold
from pages.services import handover, record_file
from pages.services.artifacts import DETECTOR, DetectorResult, load_result
from pages.services.frozen import file_sha256
from pages.services.line_check import Checked, check, refused
from pages.services.line_manifest import LINE, MANIFEST, RECIPE, THRESHOLD, manifest, threshold_facts, write_json
from pages.services.line_probes import Probes, probes_of
from pages.services.progress import Progress
from pages.services.record_file import RecordFile, read_record
from pages.services.records import entries_of, newest_approved
from pages.services.settings import RunConfig
from pages.services.steps import load_config
from pages.services.workspace import Workspace

BANK, WEIGHTS = "bank.safetensors", "backbone.safetensors"


def release_folder(ws: Workspace, record: str) -> Path:
    """Where the workspace keeps the release with this record hash."""
    return ws.root / "releases" / record[:16]


def signed_record(ws: Workspace) -> RecordFile | None:
    """The newest approved record, with the place where its release lies or will lie; None where nothing is."""
    entries = entries_of(ws)
    signed = newest_approved(entries)
    if signed is None:
        return None
    return RecordFile(release_folder(ws, signed.sha256) / record_file.NAME, entries, signed)


def run_job(ws: Workspace, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Worker entry: ``params`` are "record", the hash of the record that was on screen, and "forms"."""
    record = signed_record(ws)
    if record is None or record.sha256 != params["record"]:
        raise IasError("somebody signed since this page was drawn: look at the newest record, then export it")
    progress("record", 0, 1, "writing the record")
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    handover.write(ws, record.folder, now=now, signed=record.signed)
    checks = export(ws, record.folder, forms=params["forms"], progress=progress)
    handover.write(ws, record.folder, now=now, signed=record.signed)  # once more: its hashes now cover the export
    return {"record": record.sha256, "ms_per_picture": {one.form: one.ms_per_picture for one in checks}}


def possible_forms() -> dict[str, str]:
    """Form -> "" where it can be made and checked here, else one sentence with what to install."""
    return {
        key: f"{form.title} needs {', '.join(form.missing)} here: pip install {' '.join(form.missing)}"
        if form.missing
        else ""
        for key, form in FORMS.items()
    }


def export(
    ws: Workspace, folder: Path, *, forms: Sequence[str] = tuple(FORMS), progress: Progress
) -> tuple[Checked, ...]:
    """Write ``line/`` into a release folder: whole, or not at all.

    Parameters
    ----------
    folder : Path
        Holds ``record.json`` of this workspace's newest record.
    forms : sequence of str
        Of ``FORMS``; this product's own is always among them.

    Returns
    -------
    tuple of Checked
        What each form said of the probe pictures; those with a reason are not in the folder.

    Raises
    ------
    IasError
        The record does not fit, detector or pictures are no longer those it names, or this product's own form does
        not give the signed verdicts.
    """
    if unknown := set(forms) - set(FORMS):
        raise IasError(f"expected some of the forms {', '.join(FORMS)}, got {', '.join(sorted(unknown))}")
    record = read_record(folder / record_file.NAME)
    detector = load_result(ws, DETECTOR)
    if not isinstance(detector, DetectorResult):
        raise IasError("the signed detector is not in this workspace any more: build it, verify and sign again")
    progress("probes", 0, 1, "reading the pictures nearest to the threshold")
    probes = probes_of(ws, record.content, detector)
    try:
        for left in folder.glob(".line-*"):  # of an export that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".line-", ignore_cleanup_errors=True) as work:
            made = Path(work) / "line"
            made.mkdir()
            checks = _export(record, load_config(ws), detector, probes, forms, made, progress)
            _take_place(made, folder / LINE)
    except OSError as error:
        raise IasError(f"the export could not be written to {folder} ({error.strerror}): choose another") from error
    return checks


def _export(
    record: RecordFile,
    config: RunConfig,
    detector: DetectorResult,
    probes: Probes,
    forms: Sequence[str],
    line: Path,
    progress: Progress,
) -> tuple[Checked, ...]:
    signed = float(record.content["threshold"]["value"])
    decision = anomalib_decision(line_threshold(signed, probes.all_scores))
    progress("model", 0, 1, "loading the network")
    backbone = _write_own(record, config, detector, decision, line)
    pictures = line.parent / "pictures.npy"
    np.save(pictures, np.ascontiguousarray(probes.pictures.transpose(0, 3, 1, 2)))
    wanted = [key for key in FORMS if key in forms or key == OWN]
    checks: list[Checked] = []
    for place, form in enumerate(wanted):
        title = FORMS[form].title
        progress("forms", 2 * place, 2 * len(wanted), f"{title}: writing")
        failed = possible_forms()[form] or (_write(form, record, backbone, decision, line) if form != OWN else "")
        progress("forms", 2 * place + 1, 2 * len(wanted), f"{title}: scoring {len(probes.names)} pictures again")
        found = (
            refused(form, len(probes.names), failed)
            if failed
            else check(form, line, pictures, probes, decision, signed)
        )
        if not found.handed_over:
            if form == OWN:
                raise IasError(f"nothing was exported: {found.reason}")
            for name in FORMS[form].files:
                (line / name).unlink(missing_ok=True)
        checks.append(found)
    write_json(line / MANIFEST, manifest(record, line, probes, checks, decision))
    return tuple(checks)


def _write_own(
    record: RecordFile, config: RunConfig, detector: DetectorResult, decision: AnomalibDecision, line: Path
) -> Any:
    """Bank, threshold and recipe; weights too where no package holds them. Returns the network."""
    from ias_core.patchcore.line_detector import signed_backbone, signed_bank

    named = record.content["detector"]
    earlier = record.folder / LINE / BANK
    kept = earlier if file_sha256(earlier) == named["bank_file_sha256"] else detector.bank_path
    signed_bank(named, kept)
    shutil.copyfile(kept, line / BANK)
    of_user = config.detector.weights_path
    backbone = signed_backbone(named, Path(of_user) if of_user else None)
    if named["weights_from"] != "embedded":
        from safetensors.torch import save_file

        save_file({key: value.contiguous() for key, value in backbone.module.state_dict().items()}, line / WEIGHTS)
    write_json(line / THRESHOLD, threshold_facts(record, decision, mean=backbone.mean, std=backbone.std))
    shutil.copyfile(line_recipe.__file__, line / RECIPE)
    return backbone


def _write(form: str, record: RecordFile, backbone: Any, decision: AnomalibDecision, line: Path) -> str:
    """Write a form of anomalib's; "" or one sentence why it could not be made."""
    onnx = line.parent / "model.onnx"  # OpenVINO is made from it, whether it is handed over itself or not
    try:
        from ias_core.patchcore import line_model
        from ias_core.patchcore.memory_bank import MemoryBank

        named = record.content["detector"]
        if form == "checkpoint" or not onnx.exists():
            model = line_model.line_model(
                backbone,
                MemoryBank.load(line / BANK),
                decision,
                num_neighbors=named["num_neighbors"],
                coreset_ratio=named["coreset_ratio"],
            )
            if form == "checkpoint":
                line_model.save_checkpoint(model, line / FORMS[form].files[0])
            else:
                line_model.save_onnx(model, onnx)
        if form == "onnx":
            shutil.copyfile(onnx, line / FORMS[form].files[0])
        elif form == "openvino":
            line_model.save_openvino(onnx, line / FORMS[form].files[0])
    except IasError:
        raise
    except Exception as error:  # exporters fail in any way: the others are still handed over, and the reason is told
        told = " ".join(str(error).split())[:300]
        return f"{FORMS[form].title} could not be made of this network ({type(error).__name__}: {told})"
    return ""


def zipped(record: RecordFile) -> bytes:
    """The release folder as one zip, for the browser."""
    with tempfile.TemporaryDirectory() as work:
        return Path(shutil.make_archive(str(Path(work) / "release"), "zip", record.folder)).read_bytes()


def _take_place(made: Path, place: Path) -> None:
    if place.exists():
        place.rename(made.parent / "before")
    made.rename(place)
