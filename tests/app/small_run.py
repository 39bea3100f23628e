"""A small product, taken through detector and synthetic NG once: what page and service tests start from.

46 pictures of 96 px: a plate with grain, and six with a bright scratch. The pictures lie outside the workspace,
because the ledger knows them by absolute path and every test works on a copy of the workspace.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pages.services import intake
from pages.services.pipeline import run_steps
from pages.services.progress import silent
from pages.services.settings import DetectorConfig, RunConfig, SynthesisConfig
from pages.services.steps import save_config
from pages.services.workspace import Workspace

N_OK, N_NG, SIDE_PX = 40, 6, 96
CONFIG = RunConfig(
    seed=3,
    detector=DetectorConfig(input_size=64, coreset_ratio=0.25, device="cpu", check_against_anomalib=False),
    synthesis=SynthesisConfig(count=10, graded_count=30),
)


def plate(seed: int) -> np.ndarray:
    """A good part: grey plate with two dark bars and its own grain. (96, 96, 3) uint8."""
    rng = np.random.default_rng(seed)
    picture = np.full((SIDE_PX, SIDE_PX), 140.0) + rng.normal(0, 3)
    picture[:, 28:34] -= 50
    picture[:, 62:68] -= 50
    picture += cv2.resize(rng.normal(0, 5, (12, 12)), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    picture += rng.normal(0, 6, picture.shape)
    return np.clip(np.repeat(picture[..., None], 3, axis=2), 0, 255).astype(np.uint8)


def scratched(seed: int) -> np.ndarray:
    """A defective part: another plate with a bright scratch across it; every third scratch is too faint to find."""
    left, right = np.random.default_rng(seed).integers(12, SIDE_PX - 12, 2)
    shade = 150 if seed % 3 == 0 else 255
    return cv2.line(plate(seed), (int(left), 10), (int(right), SIDE_PX - 10), (shade,) * 3, 1 if shade < 255 else 3)


def write_pictures(root: Path, *, n_ok: int = N_OK, n_ng: int = N_NG) -> tuple[Path, Path]:
    """Folders ``ok`` and ``ng``."""
    for folder, n, first, make in (("ok", n_ok, 0, plate), ("ng", n_ng, 1000, scratched)):
        (root / folder).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(make(first + i)).save(root / folder / f"{folder}_{i:02d}.png")
    return root / "ok", root / "ng"


def build(root: Path) -> Path:
    """Workspace folder with data, detector and synthetic NG; no threshold fixed yet."""
    ok, ng = write_pictures(root / "pictures")
    ws = Workspace(root / "workspace")
    intake.import_folders(ws, ok, ng)
    intake.assign_roles(ws, seed=CONFIG.seed)
    save_config(ws, CONFIG)
    run_steps(ws, CONFIG, silent)
    return ws.root


def copy_of(built: Path, target: Path) -> Workspace:
    """A workspace of one's own to change."""
    shutil.copytree(built, target)
    return Workspace(target)
