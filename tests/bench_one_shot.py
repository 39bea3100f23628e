"""The one-shot transplant: 50 NG at once, and with a pixel model that has five minutes to learn."""

from collections.abc import Iterator

import numpy as np
import torch

from ias_core.imaging import resize_image
from ias_core.peak_memory import PeakMemory
from ias_core.synthesis.base import NgSource
from ias_core.synthesis.one_shot.one_shot_diffusion import OneShotDiffusion
from tests.bench_line import Line, seconds

SIDE_PX, COUNT, N_GOOD = 300, 50, 40
BUDGET_S, LEAST_STEPS = 300.0, 500
TRIED_STEPS = 60


def demo_parts() -> np.ndarray:
    """(40, 300, 300, 3): good cells of the demo, at their own size."""
    from elpv_dataset.utils import load_dataset

    images, probability, kind = load_dataset()
    good = images[(probability == 0) & (kind == "mono")][:N_GOOD]
    return np.stack([resize_image(np.repeat(g[..., None], 3, 2).astype(np.float32) / 255, SIDE_PX) for g in good])


def an_ng(good: np.ndarray) -> NgSource:
    """A good cell with a dark crack: two strokes."""
    import cv2

    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    cv2.polylines(mask, [np.array([(120, 90), (150, 130), (145, 170)])], isClosed=False, color=1, thickness=3)
    image, inside = good.copy(), mask.astype(bool)
    image[inside] *= 0.5
    return NgSource("crack", image, inside)


def one_shot_lines() -> Iterator[Line]:
    from ias_core.synthesis.one_shot.training import train

    parts = demo_parts()
    sources = (an_ng(parts[-1]),)
    instant = OneShotDiffusion(sources)
    with PeakMemory() as peak:
        took, _ = seconds(lambda: instant(parts[:8], count=COUNT, seed=0), repeats=2)
    yield Line(
        "one-shot: instant mode",
        f"{took:.2f} s",
        "",
        "",
        "<= 5 s",
        took <= 5,
        f"{COUNT} NG of {SIDE_PX} px; peak memory of the process {peak.bytes / 2**20:.0f} MiB",
    )
    with PeakMemory() as peak:
        model = train(
            parts,
            seed=0,
            budget_s=float("inf"),
            most_steps=TRIED_STEPS,
            device=torch.device("cpu"),
            watch=lambda now: True,
        )
    steps = BUDGET_S * TRIED_STEPS / model.meta["seconds"]
    yield Line(
        "one-shot: training the pixel model",
        f"{steps:.0f} steps in 5 minutes",
        "",
        "",
        f">= {LEAST_STEPS}",
        steps >= LEAST_STEPS,
        f"at the pace of {TRIED_STEPS} steps; peak memory of the process {peak.bytes / 2**20:.0f} MiB",
    )
    soft = OneShotDiffusion(sources, model, softness=20.0)
    with PeakMemory() as peak:
        took, _ = seconds(lambda: soft(parts[:8], count=COUNT, seed=0), repeats=1)
    yield Line(
        "one-shot: with the pixel model",
        f"{took:.0f} s",
        "",
        "",
        "<= 60 s",
        took <= 60,
        f"{COUNT} NG of {SIDE_PX} px; peak memory of the process {peak.bytes / 2**20:.0f} MiB",
    )
