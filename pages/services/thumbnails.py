"""Small pictures with their anomaly maps, for a record to carry: all maps on one fixed colour scale."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ias_core.errors import ImageRefused
from ias_core.overlay import anomaly_overlay
from ias_core.patchcore.anomaly_maps import anomaly_map
from pages.services.artifacts import ScoredSet
from pages.services.ledger import ImageRecord
from pages.services.pictures import read_at_size

SIDE_PX = 160
_OPACITY = 0.6
_QUALITY = 85


def thumbnails(
    records: Sequence[ImageRecord], scored: ScoredSet, scale: tuple[float, float]
) -> dict[str, dict[str, str]]:
    """sha256 -> "picture" and "map", each a base64 JPEG of 160 px; pictures that cannot be read are left out.

    ``scored`` holds the patch scores of all of them; ``scale`` is the colour scale, in feature distance.
    """
    place = {sha256: i for i, sha256 in enumerate(scored.ids)}
    found = {}
    for record in records:
        try:
            picture = read_at_size(record, SIDE_PX)
        except ImageRefused:
            continue
        amap = anomaly_map(scored.patch_scores[place[record.sha256]], SIDE_PX)
        drawn = anomaly_overlay(picture, amap, vmin=scale[0], vmax=scale[1], opacity=_OPACITY)
        found[record.sha256] = {"picture": _jpeg(np.rint(255 * picture).astype(np.uint8)), "map": _jpeg(drawn)}
    return found


def _jpeg(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()
