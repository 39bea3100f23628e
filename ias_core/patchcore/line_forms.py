"""The forms in which a detector is handed to the line: what each needs, and how it is opened there.

``python -m ias_core.patchcore.line_forms FORM FOLDER PICTURES.npy RESULT.json`` scores prepared pictures in a process
of its own that knows nothing but the folder.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ias_core.patchcore.line_threshold import AnomalibDecision

Judge = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # (n, 3, s, s) -> scores (n,), is_ng (n,)
_TIMED = 8


@dataclass(frozen=True, slots=True)
class Form:
    """One form.

    files : what it consists of, in the folder ``line``
    needs : packages to make and to check it
    """

    title: str
    files: tuple[str, ...]
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages that are not installed here."""
        return tuple(name for name in self.needs if find_spec(name) is None)


OWN = "ng0"
FORMS = {
    OWN: Form("this product (cli.py score)", ("bank.safetensors", "threshold.json")),
    "checkpoint": Form("anomalib checkpoint", ("model.ckpt",), ("anomalib",)),
    "onnx": Form("ONNX", ("model.onnx",), ("anomalib", "onnx", "onnxscript", "onnxruntime")),
    "openvino": Form("OpenVINO", ("model.xml", "model.bin"), ("anomalib", "onnx", "onnxscript", "openvino")),
}


def open_form(form: str, folder: Path) -> Judge:
    """The form as the line opens it: with its own runtime, in float32."""
    return {OWN: _own, "checkpoint": _checkpoint, "onnx": _onnx, "openvino": _openvino}[form](folder)


def _own(folder: Path) -> Judge:
    from ias_core.patchcore.line_detector import LineDetector

    told = json.loads((folder / "threshold.json").read_text(encoding="utf-8"))
    detector = LineDetector(told["detector"], folder)

    def judge(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores = detector(list(batch.transpose(0, 2, 3, 1)))
        return scores, scores.astype(np.float64) >= told["threshold"]

    return judge


def _checkpoint(folder: Path) -> Judge:
    import torch

    from ias_core.torchvision_operators import ensure_torchvision

    ensure_torchvision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from anomalib.models import Patchcore

        model = Patchcore.load_from_checkpoint(folder / "model.ckpt", map_location="cpu").eval()

    def judge(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            found = model(torch.from_numpy(np.ascontiguousarray(batch)))
        return found.pred_score.numpy(), found.pred_label.numpy()

    return judge


def _onnx(folder: Path) -> Judge:
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    return lambda batch: tuple(session.run(["pred_score", "pred_label"], {"input": batch}))


def _openvino(folder: Path) -> Judge:
    import openvino

    # Some processors would compute in bfloat16 unless told otherwise, and that moves every score.
    model = openvino.Core().compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def judge(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = model(batch)
        return found["pred_score"], found["pred_label"]

    return judge


def raw_scores(form: str, scores: np.ndarray, decision: AnomalibDecision) -> np.ndarray:
    """Feature distances (n,) of what the form gave; NaN where anomalib's scale ends."""
    return np.asarray(scores, np.float64) if form == OWN else decision.raw(scores)


def main(arguments: list[str]) -> None:
    form, folder, pictures, result = arguments
    judge, batch = open_form(form, Path(folder)), np.load(pictures)
    found = [judge(batch[i : i + 1]) for i in range(len(batch))]  # one at a time, as parts come
    scores, is_ng = (np.concatenate([one[k].reshape(-1) for one in found]) for k in (0, 1))
    seconds = []
    for i in range(min(_TIMED, len(batch))):
        start = time.perf_counter()
        judge(batch[i : i + 1])
        seconds.append(time.perf_counter() - start)
    told = {
        "scores": [float(score) for score in scores],
        "is_ng": [bool(one) for one in is_ng],
        "ms_per_picture": round(1000 * float(np.median(seconds)), 2),
    }
    Path(result).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
