"""The detector and its threshold as anomalib's own Patchcore, written as checkpoint, ONNX and OpenVINO.

The model takes pictures at the input size, RGB in [0, 1], any number at a time, and normalises them itself. Importing
anomalib takes several seconds, so only who exports imports this.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ias_core.backbones import Backbone
from ias_core.patchcore.anomalib_reference import anomalib_patchcore
from ias_core.patchcore.line_threshold import AnomalibDecision
from ias_core.patchcore.memory_bank import MemoryBank

_OPSET = 18


def line_model(
    backbone: Backbone, bank: MemoryBank, decision: AnomalibDecision, *, num_neighbors: int, coreset_ratio: float
) -> Any:
    """anomalib's ``Patchcore`` with these weights, this bank and this decision, in eval mode on the CPU.

    The anomaly map is put on the same scale as the score; the label comes from the image score alone.
    """
    with warnings.catch_warnings():  # anomalib imports parts of timm and of itself that are on their way out
        warnings.simplefilter("ignore", FutureWarning)
        inner = anomalib_patchcore(backbone, bank, num_neighbors=num_neighbors)
        from anomalib.models.image.patchcore.lightning_model import Patchcore
        from anomalib.post_processing import PostProcessor
        from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Compose, Normalize, Resize

    size = bank.preprocessing.input_size
    after = PostProcessor(image_sensitivity=decision.sensitivity, pixel_sensitivity=decision.sensitivity)
    for kind in ("image", "pixel"):
        after.get_buffer(f"_{kind}_threshold").fill_(decision.threshold)
        after.get_buffer(f"{kind}_min").fill_(decision.low)
        after.get_buffer(f"{kind}_max").fill_(decision.high)
    # The resize leaves a picture at the input size as it is. It is there for anomalib's Engine, which reads files.
    before = Compose([Resize((size, size), antialias=True), Normalize(mean=backbone.mean, std=backbone.std)])
    model = Patchcore(
        backbone=backbone.name,
        layers=list(backbone.layers),
        pre_trained=False,  # the checkpoint brings the weights: whoever opens it must not fetch others
        coreset_sampling_ratio=coreset_ratio,
        num_neighbors=num_neighbors,
        pre_processor=PreProcessor(before),
        post_processor=after,
        evaluator=False,
        visualizer=False,
    )
    model.model = inner
    model._is_fitted.fill_(True)
    return model.eval()


def save_checkpoint(model: Any, path: Path) -> None:
    """A Lightning checkpoint: ``Patchcore.load_from_checkpoint(path)`` or ``Engine().predict(ckpt_path=path)``."""
    from lightning.pytorch import Trainer

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.strategy.connect(model)
    trainer.save_checkpoint(path, weights_only=False)


@contextmanager
def in_one_piece(model: Any) -> Iterator[None]:
    """Let the model search for neighbours of all patches at once, with the same result.

    anomalib cuts the search into pieces of 1024 patches, and a trace of that is good for one number of pictures only.
    """
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    class InOnePiece(PatchcoreModel):
        def nearest_neighbors(self, embedding: torch.Tensor, n_neighbors: int) -> tuple[torch.Tensor, torch.Tensor]:
            distances = self.euclidean_dist(embedding, self.memory_bank)
            return distances.min(1) if n_neighbors == 1 else distances.topk(k=n_neighbors, largest=False, dim=1)

    was = type(model.model)
    model.model.__class__ = InOnePiece
    try:
        yield
    finally:
        model.model.__class__ = was


def save_onnx(model: Any, path: Path) -> None:
    """ONNX by anomalib's own export, with any number of pictures at a time."""
    size = model.pre_processor.transform.transforms[0].size
    with in_one_piece(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter, about its own parts
        made = model.to_onnx(
            path.parent / f"{path.stem}-parts",
            input_size=tuple(size),
            opset_version=_OPSET,
            external_data=False,
            verbose=False,
        )
    _without_traces(made, path)


def _without_traces(made: Path, path: Path) -> None:
    """The same model without torch's notes, which name files of this machine and differ from one to the next."""
    import onnx

    model = onnx.load(made)
    del model.metadata_props[:]
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, model.graph):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(model, path)
    made.unlink()


def save_openvino(onnx: Path, path: Path) -> None:
    """OpenVINO's ``.xml`` and ``.bin`` from the ONNX file, in float32: rounded weights would move every score."""
    import openvino

    openvino.save_model(openvino.convert_model(onnx), path, compress_to_fp16=False)
