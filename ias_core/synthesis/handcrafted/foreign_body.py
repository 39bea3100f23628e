"""Foreign body: a fibre or a particle that lies on the part and casts a faint shadow.

H13 line, polygon, free form and Bezier region, filled with foreign matter; the look is ours.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from ias_core.synthesis import shapes
from ias_core.synthesis.base import synthesizers
from ias_core.synthesis.handcrafted.graded import Graded, each_px, is_bright, put, shading
from ias_core.synthesis.handcrafted.ranges import check_range
from ias_core.synthesis.recipe import Draw, Scene

_BODY_SHARE = 0.8  # of the written area; the rest is shadow
_SHADOW = 0.55  # how much light it takes
_RELIEF = 0.35
_LONGEST_SHARE = 0.9
_PARTICLES = (shapes.polygon, shapes.free_form, shapes.bezier)


@synthesizers.register("foreign-body")
@dataclass(frozen=True, slots=True)
class ForeignBody(Graded):
    """A hair, a fibre, a chip or a crumb.  Family: hand-crafted, graded.  Space: image."""

    length_min_px: float = field(default=30.0, metadata={"min": 5.0, "max": 200.0})  # of fibres, at 256 px
    length_max_px: float = field(default=120.0, metadata={"min": 5.0, "max": 250.0})
    size_min_px: float = field(default=5.0, metadata={"min": 2.0, "max": 70.0})  # of particles, at 256 px
    size_max_px: float = field(default=25.0, metadata={"min": 2.0, "max": 128.0})

    name = "foreign-body"

    def __post_init__(self) -> None:
        Graded.__post_init__(self)  # super() knows no class that slots=True has made anew
        check_range("lengths", self.length_min_px, self.length_max_px)
        check_range("sizes", self.size_min_px, self.size_max_px)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        fibre = bool(rng.integers(2))
        length_px, thickness_px = rng.uniform(self.length_min_px, self.length_max_px), rng.uniform(1.2, 2.5)
        particle_px = rng.uniform(self.size_min_px, self.size_max_px)
        size_px = each_px(scene, float(np.sqrt(4 * length_px * thickness_px / np.pi)) if fibre else particle_px, 1)
        light, polarity, tint = rng.uniform(0, 2 * np.pi), rng.uniform(), rng.uniform(-1, 1, 3)
        textured, crop = bool(rng.integers(2)), rng.uniform(0, 1, 2)
        body_px = size_px * np.sqrt(_BODY_SHARE)
        if fibre:
            longest = (_LONGEST_SHARE * scene.side) ** 2 / shapes.area_px(body_px)
            mask, body, _ = shapes.line(
                body_px,
                rng,
                aspect=min(length_px / thickness_px, longest),
                bend=rng.uniform(-3, 3),
                jitter=rng.uniform(0.1, 0.5),
                taper=False,
            )
            shift = max(1.0, scene.px(1.5))
            relief = np.zeros_like(body)
        else:
            mask, body = _PARTICLES[rng.integers(len(_PARTICLES))](body_px, rng)
            shift = max(1.0, 0.12 * body_px)
            relief = shapes.soften(mask, body_px / 2)
        margin = int(np.ceil(2 * shift)) + 2
        body, relief = np.pad(body, margin), np.pad(relief, margin)
        move = np.float64([[1, 0, shift * np.cos(light)], [0, 1, shift * np.sin(light)]])
        shadow = cv2.GaussianBlur(cv2.warpAffine(body, move, body.shape[::-1]), (0, 0), shift / 2) * (1 - body)
        written = shapes.most_covered(np.maximum(body, 0.5 * shadow), shapes.area_px(size_px))
        (written, body, shadow, slope), _ = put(scene, rng, written, body, shadow, shading(relief, light))
        body, shadow = np.where(written, body, 0), np.where(written, shadow, 0)
        bright = is_bright(scene.picture, written, polarity)
        if textured and not fibre:
            texture, source = scene.textures(scene.side, rng)
        else:
            colour = (0.8 if bright else 0.18) + 0.15 * tint
            texture, source = np.broadcast_to(np.float32(colour), scene.picture.shape), "none"
        matter = np.roll(texture, tuple(int(place * scene.side) for place in crop), (0, 1))
        matter = matter * (1 + _RELIEF * slope[..., None])
        plain = scene.picture * (1 - _SHADOW * shadow[..., None])
        plain = plain + body[..., None] * (matter - plain)
        return self.mixed(
            scene,
            severity,
            plain.astype(np.float32),
            written,
            source,
            {
                "kind": "fibre" if fibre else "particle",
                "size_px": size_px,
                "light_degrees": np.degrees(light),
                "matter": "texture" if source != "none" else "brighter colour" if bright else "darker colour",
            },
        )
