"""What all methods over pretrained diffusion weights share: the window, the two passes, and what is checked first.

A method says how a window is painted; where the defect goes, how much of the picture the model sees, and how the result
comes back into the picture is decided here, once. Imports without torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ias_core.errors import SynthesisError, WeightsUnavailable
from ias_core.synthesis.base import NEEDS, NgSource, is_grey
from ias_core.synthesis.one_shot.piece import PLACES, changed, collage, cut, drawn, laid
from ias_core.synthesis.one_shot.variation import TURNS
from ias_core.synthesis.pretrained.adapter import Adapter
from ias_core.synthesis.pretrained.windows import (
    Box,
    Window,
    box_around,
    opacity_of,
    resized,
    resized_mask,
)
from ias_core.synthesis.recipe import Draw, Recipe, Scene, shown

if TYPE_CHECKING:
    import torch

    from ias_core.synthesis.pretrained.backend import Backend

Watch = Callable[[int, int, float], bool]
"""(step, steps, loss) -> whether to go on; False ends the training, and what is trained by then is kept."""

KINDS = {
    "text-to-image": "for text to image (4-channel U-Net)",
    "inpainting": "for inpainting (9-channel U-Net)",
    "unconditional": "of one product (no words)",
}
FAMILIES = {"sd": "Stable Diffusion 1.x or 2.x", "sdxl": "Stable Diffusion XL", "ddpm": "a diffusion model of pixels"}


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Where a defect is to be drawn, everything random decided.

    source : NgSource
    box : Box                 the square of the scene that the model sees
    window : Window           what is in it
    mask : (s, s) bool        the target
    seed : int                for the model's noise
    told : dict               what was drawn, JSON-ready
    """

    source: NgSource
    box: Box
    window: Window
    mask: np.ndarray
    seed: int
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pretrained(Recipe):
    """Base of the methods over diffusion weights; a subclass sets the class variables and defines ``paint``.

    sources : the real NG to start from; each image takes one of them
    backend : the weights
    adapter : what ``fit`` made of the sources, for methods that are trained
    product, defect : words for prompts
    steps : of denoising
    place, turn : as of ``one-shot-diffusion``: where the target may lie, and how the NG's defect may be turned for it

    kinds, families : of ``Backend.kind`` and ``Backend.family``, what the method runs on
    extras : of ``Backend.extras``, what may be loaded beside: an IP-Adapter wants a picture at every pass of the U-Net
    least_ng : how many real NG it takes at least
    style_of : one sentence, where the published method needs what no user can have and this is in its style
    whole : whether it draws the whole part, so that good parts drawn by it must be scored before any threshold is
    has_control : whether ``control`` means anything
    """

    sources: tuple[NgSource, ...] = ()
    backend: Backend | None = None
    adapter: Adapter | None = None
    product: str = "part"
    defect: str = "defect"
    steps: int = field(default=50, metadata={"min": 1, "max": 1000})
    place: str = field(default="part", metadata={"choices": PLACES})
    turn: str = field(default="any", metadata={"choices": TURNS})

    needs: ClassVar[tuple[str, ...]] = ("sources", "backend")
    kinds: ClassVar[tuple[str, ...]] = ("text-to-image",)
    families: ClassVar[tuple[str, ...]] = ("sd",)
    extras: ClassVar[tuple[str, ...]] = ("controlnet",)
    least_ng: ClassVar[int] = 1
    style_of: ClassVar[str] = ""
    whole: ClassVar[bool] = False
    has_control: ClassVar[bool] = True
    tries: ClassVar[int] = 4  # each may take minutes without a GPU

    @classmethod
    def fit(
        cls,
        backend: Backend,
        sources: tuple[NgSource, ...],
        ok: np.ndarray,
        *,
        seed: int,
        steps: int,
        watch: Watch,
    ) -> Adapter:
        """Train on the sources and on good parts (n, s, s, 3); only where ``needs`` names an adapter."""
        raise SynthesisError(f"{cls.name} is not trained: it draws from the weights as they are")

    def paint(self, window: Window, generator: torch.Generator) -> np.ndarray:
        """(w, w, 3) float32 in [0, 1]: the window with a defect at its target. Runs without gradients."""
        raise NotImplementedError

    def unpainted(self, window: Window, generator: torch.Generator) -> np.ndarray:
        """(w, w, 3): the same pass, with the same random numbers, where no defect is asked for.

        Here: the canvas through the autoencoder and back, for methods that leave its latent alone outside the mask.
        """
        from ias_core.synthesis.pretrained.latents import round_trip

        return round_trip(window.canvas, self.backend)

    def details(self) -> dict[str, Any]:
        """What else each draw is to tell, JSON-ready."""
        return {}

    def both(self, window: Window, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """What ``draw`` takes the difference of: the window painted and unpainted, from the same random numbers."""
        return self._run(self.paint, window, seed), self._run(self.unpainted, window, seed)

    def draw(self, scene: Scene, severity: float, rng: np.random.Generator) -> Draw:
        """The project's notes on TF-IDG, section 3, around ``paint``; opacity, and nothing else, is the severity."""
        self.check()
        placed = self.placed(scene, rng)
        painted, plain = self.both(placed.window, placed.seed)
        opacity, box = opacity_of(placed.mask), placed.box
        picture = scene.picture.copy()
        box.of(picture)[:] += np.float32(severity) * box.of(opacity)[..., None] * resized(painted - plain, box.side)
        told = placed.told | {"steps": self.steps, "opacity": severity} | self.details()
        return Draw(np.clip(picture, 0, 1), opacity > 0, f"real NG {placed.source.name}", told)

    def control(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """(s, s, 3): the good part with what the method makes of good surface, where ``draw`` would put a defect.

        The pass without a defect is pasted as it is: its difference to itself, which ``draw`` would add, is nothing
        and would prove nothing. Where these do not score like OK, a detector sees the method's marks on good surface.
        """
        self.check()
        placed = self.placed(scene, rng)
        plain = resized(self._run(self.unpainted, placed.window, placed.seed), placed.box.side)
        opacity = opacity_of(placed.mask)
        picture = scene.picture.copy()
        here = placed.box.of(picture)
        here += placed.box.of(opacity)[..., None] * (plain - here)
        return shown(Draw(picture, opacity > 0, "none"), scene, grey=is_grey(scene.images))

    def placed(self, scene: Scene, rng: np.random.Generator) -> Placed:
        """Everything random of a draw, decided; raises Void where the scene has no place for it."""
        source = self.sources[int(rng.integers(len(self.sources)))]
        piece = cut(source)
        variation = drawn(piece, rng, size_px=scene.size_px, turn=self.turn)
        residual, mask = laid(changed(piece, variation), scene, rng, place=self.place)
        seed = int(rng.integers(2**32))
        pasted, lost = collage(scene.picture, residual, mask)
        box, side = self.box(mask), self.backend.side_px
        reference, reference_mask = self.closeup(source)
        window = Window(
            canvas=resized(box.of(scene.picture), side),
            target=resized_mask(box.of(mask), side),
            collage=resized(box.of(pasted), side),
            reference=reference,
            reference_mask=reference_mask,
        )
        told = {
            "source": source.name,
            "scale": variation.scale,
            "angle_degrees": variation.degrees,
            "upside_down": variation.flips[0],
            "mirrored": variation.flips[1],
            "place": self.place,
            "lost_to_clipping": lost,
            "window_px": box.side,
            "noise_seed": seed,
        }
        return Placed(source, box, window, mask, seed, told)

    def box(self, mask: np.ndarray) -> Box:
        """The square around a mask that the backend is shown."""
        from ias_core.synthesis.pretrained.latents import cell_px

        return box_around(mask, side_px=self.backend.side_px, cell_px=cell_px(self.backend))

    def closeup(self, source: NgSource) -> tuple[np.ndarray, np.ndarray]:
        """(w, w, 3) and (w, w) bool: an NG around its defect, in the proportions of a window, and that defect."""
        box = self.box(source.mask)
        side = self.backend.side_px
        return resized(box.of(source.image), side), resized_mask(box.of(source.mask), side)

    def check(self) -> None:
        """Refuse to draw with what is missing or does not belong together.

        Raises
        ------
        SynthesisError, WeightsUnavailable
            With what is needed instead.
        """
        missing = [NEEDS[need] for need in self.needs if not getattr(self, need)]
        if missing:
            raise SynthesisError(f"{self.name} needs {' and '.join(missing)}: give it that, or choose another method")
        self.check_backend(self.backend)
        self.check_sources(self.sources)
        if self.adapter is not None:
            self.adapter.check(self.name, self.backend.digest)

    @classmethod
    def check_backend(cls, backend: Backend) -> None:
        """Raises WeightsUnavailable, saying which weights the method runs on, if these are others."""
        if backend.kind not in cls.kinds or backend.family not in cls.families:
            families = " or ".join(FAMILIES[family] for family in cls.families)
            kinds = " or ".join(KINDS[kind] for kind in cls.kinds)
            raise WeightsUnavailable(
                f"{cls.name} needs weights of {families} {kinds}, loaded are those of {FAMILIES[backend.family]} "
                f"{KINDS[backend.kind]}: load others, or choose another method"
            )
        if odd := sorted(set(backend.extras) - set(cls.extras)):
            raise WeightsUnavailable(
                f"{cls.name} cannot draw with {' and '.join(odd)} loaded: load the weights without, or choose another "
                "method"
            )

    @classmethod
    def check_sources(cls, sources: tuple[NgSource, ...]) -> None:
        """Raises SynthesisError if they are too few."""
        if len(sources) < cls.least_ng:
            raise SynthesisError(f"{cls.name} needs at least {cls.least_ng} real NG with masks, got {len(sources)}")

    def _run(self, way: Callable[[Window, Any], np.ndarray], window: Window, seed: int) -> np.ndarray:
        import torch

        with torch.no_grad():
            return way(window, torch.Generator().manual_seed(seed))
