"""How many synthetic NG a second, method by method, beside the same operation of an installed library."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from ias_core.imaging import resize_image
from ias_core.torchvision_operators import ensure_torchvision
from tests.bench_line import Line, seconds

SIDE_PX, N_PARENTS, COUNT = 256, 8, 60
TARGETS = {"draem": 100, "cutpaste": 100}  # images a second


def demo_pictures() -> np.ndarray:
    """(8, 256, 256, 3) of the demo's first good cells."""
    from elpv_dataset.utils import load_dataset

    images, probability, kind = load_dataset()
    good = images[(probability == 0) & (kind == "mono")][:N_PARENTS]
    return np.stack([resize_image(np.repeat(g[..., None], 3, 2).astype(np.float32) / 255, SIDE_PX) for g in good])


def references(pictures: np.ndarray) -> dict[str, tuple[str, Callable[[], object]]]:
    """Method -> a library's name for the operation, and a call that does it once on one picture."""
    ensure_torchvision()
    import cv2
    from anomalib.data.utils.generators import PerlinAnomalyGenerator
    from torchvision.transforms.v2 import RandomErasing

    tensor = torch.from_numpy(pictures[0]).permute(2, 0, 1).contiguous()
    perlin = PerlinAnomalyGenerator(probability=1.0)
    erase = RandomErasing(p=1.0, scale=(0.006, 0.038), ratio=(1.0, 1.0))
    eight_bit = [np.round(255 * picture).astype(np.uint8) for picture in pictures[:2]]
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    mask[80:150, 60:140] = 255
    clone = ("cv2.seamlessClone", lambda: cv2.seamlessClone(*eight_bit, mask, (100, 115), cv2.MIXED_CLONE))
    noise = ("anomalib PerlinAnomalyGenerator, its noise as texture", lambda: perlin(tensor))
    return {
        "cutout": ("torchvision RandomErasing", lambda: erase(tensor)),
        **dict.fromkeys(("draem", "destseg", "memseg", "glass-las-foreign"), noise),
        **dict.fromkeys(("nsa", "pii"), clone),
    }


def synthesis_lines() -> Iterator[Line]:
    import ias_core.synthesis  # noqa: F401  registers the methods
    from ias_core.synthesis.base import synthesizers
    from pages.services.made import method_names

    pictures = demo_pictures()
    against = references(pictures)
    for name in method_names():
        method = synthesizers[name]()
        method(pictures, count=2, seed=1)  # what is kept between runs, such as made textures, is there
        ours = COUNT / seconds(lambda method=method: method(pictures, count=COUNT, seed=0), repeats=2)[0]
        other, ratio = "", ""
        if name in against:
            what, call = against[name]
            rate = COUNT / seconds(lambda call=call: [call() for _ in range(COUNT)], repeats=2)[0]
            other, ratio = f"{rate:.0f} a second ({what})", f"{ours / rate:.2f}x"
        target = TARGETS.get(name)
        yield Line(
            f"synthesis: {name}",
            f"{ours:.0f} images a second",
            other,
            ratio,
            f">= {target} a second" if target else "",
            ours >= target if target else None,
            f"{COUNT} pictures of {SIDE_PX} px, mask and rounding included, one thread",
        )


def ruler_lines(features: Callable[[], torch.Tensor]) -> Iterator[Line]:
    """Feature-space methods on 50 images, the bank being there: every region and dial value, scores included."""
    import ias_core.synthesis.feature_space  # noqa: F401  registers the methods
    from ias_core.backbones import load_backbone
    from ias_core.features import PatchFeatures
    from ias_core.patchcore.memory_bank import Preprocessing, build_bank
    from ias_core.patchcore.scoring import Scorer
    from ias_core.synthesis.feature_space.base import OkReference, feature_synthesizers
    from ias_core.synthesis.feature_space.dsr_codebook import codebook
    from ias_core.synthesis.made_textures import MadeTextures

    cpu, half = torch.device("cpu"), len(features()) // 2
    bank = build_bank(
        list(features()[:half]),
        [f"{i:03d}" for i in range(half)],
        ratio=0.02,
        preprocessing=Preprocessing("bench", "", (), 224),
        generator=torch.Generator().manual_seed(0),
    )
    others = features()[half:]
    d0 = Scorer(bank, cpu)(others).patch_scores
    textures = MadeTextures()
    foreign = PatchFeatures(load_backbone(), cpu)([textures(224, np.random.default_rng(i))[0] for i in range(8)])
    reference = OkReference.of(others, d0, bank.features, foreign=codebook(foreign, 0))
    for name in feature_synthesizers:
        method = feature_synthesizers[name]()
        took, made = seconds(lambda method=method: method(others, d0, reference, seed=0), repeats=2)
        yield Line(
            f"feature space: {name}",
            f"{took:.2f} s",
            "",
            "",
            "<= 1 s",
            took <= 1,
            f"{len(others)} images, {len(made.regions)} regions, {len(made.dial)} dial values, {made.n_cells} patches",
        )
