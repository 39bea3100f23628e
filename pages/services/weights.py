"""The user's diffusion weights: what they are, what this machine can do with them, and loading them for a job."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ias_core.errors import IasError, WeightsUnavailable
from pages.services.settings import PretrainedConfig, RunConfig

if TYPE_CHECKING:
    from ias_core.synthesis.pretrained.backend import Backend
    from ias_core.synthesis.pretrained.plans import Hardware, Plan
    from ias_core.synthesis.pretrained.retreat import BackendRunner
    from ias_core.synthesis.pretrained.trial import Trial
    from ias_core.synthesis.pretrained.weights import Weights

_KINDS = {
    "text-to-image": "for text to image (U-Net with 4 channels)",
    "inpainting": "for inpainting (U-Net with 9 channels)",
    "unconditional": "without a prompt",
}
_FAMILIES = {"sd": "Stable Diffusion 1 or 2", "sdxl": "Stable Diffusion XL", "ddpm": "a diffusion model of pixels"}
PLACES = ("weights", "controlnet", "ip_adapter")  # of PretrainedConfig
USUAL_STEPS = 50  # of denoising, where each method has its own
_KNOWN: dict[tuple[str, int, int], str] = {}  # sha256 of files that this process has read
_RUNNING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the weights of some settings are good for on a machine.

    facts : dict            of PLACES that are named -> JSON-ready: what it is, its parts, problems, notes, command
    wrong : tuple of str    one sentence each, why they cannot be loaded; empty: they can
    plan : Plan or None     how they are loaded
    methods : dict          registered name of every method over such weights -> "" if it is possible, else why not
    """

    facts: dict[str, dict[str, Any]]
    wrong: tuple[str, ...]
    plan: Plan | None
    methods: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Announced:
    """What methods ask of a Backend before it is loaded."""

    kind: str
    family: str
    extras: frozenset[str]
    controlnet: object = None
    pipeline: object = True


def hardware(wish: str = "auto") -> Hardware:
    """What this machine has free now."""
    from ias_core.synthesis.pretrained.machine import this_machine

    return this_machine(wish)


def outlook(config: PretrainedConfig, have: Hardware) -> Outlook:
    """Everything the page tells about the weights that the settings name; at least ``weights`` is named."""
    from ias_core.synthesis.pretrained.fits import fit
    from ias_core.synthesis.pretrained.parts import sentence
    from ias_core.synthesis.pretrained.plans import plan
    from ias_core.synthesis.pretrained.weights import recognise

    found: dict[str, Weights] = {}
    facts: dict[str, dict[str, Any]] = {}
    wrong: list[str] = []
    for name in PLACES:
        place = getattr(config, name)
        if not place:
            continue
        try:
            found[name] = recognise(place)
            facts[name] = _facts(found[name])
        except WeightsUnavailable as error:
            wrong.append(sentence(error))
    if not wrong:
        wrong += fit(*(found.get(name) for name in PLACES))
    planned = None
    if not wrong:
        try:
            planned = plan(**{name: found.get(name) for name in PLACES}, have=have, steps=config.steps or USUAL_STEPS)
        except WeightsUnavailable as error:
            wrong.append(sentence(error))
    return Outlook(facts, tuple(wrong), planned, {} if planned is None else _methods(found, planned))


def backend_runner(config: RunConfig) -> BackendRunner:
    """The weights that the settings name, ready to be loaded; a runner survives a lack of memory.

    Raises
    ------
    WeightsUnavailable
        They are not whole, do not belong together, or need more memory than this machine has.
    """
    from ias_core.synthesis.pretrained.plans import plan
    from ias_core.synthesis.pretrained.retreat import BackendRunner

    pretrained = config.synthesis.pretrained
    found = _checked(pretrained)
    first = plan(**found, have=hardware(config.detector.device), steps=pretrained.steps or USUAL_STEPS)
    digest = digest_of(pretrained)
    return BackendRunner(lambda planned: load(pretrained, planned, digest), first)


def load_backend(config: RunConfig, *, to_train: bool = False) -> Backend:
    """The weights that the settings name; on a GPU, one step at full size shows before the work whether they fit.

    Raises
    ------
    WeightsUnavailable
        As ``backend_runner``; or the GPU is too small to train on, where ``to_train`` is asked for.
    """
    from ias_core.synthesis.pretrained.trial import try_out

    runner = backend_runner(config)
    if runner.plan.device != "cpu":
        runner(lambda backend: try_out(backend, side_px=backend.side_px))
    if to_train and not runner.plan.can_train:
        why = " ".join(runner.notices or runner.plan.why)
        runner.release()
        raise WeightsUnavailable(f"training needs all of the weights on the GPU at once: {why}")
    return runner.backend


def load(config: PretrainedConfig, planned: Plan, digest: str) -> Backend:
    """The weights, loaded as planned; ``digest`` as ``digest_of`` gives it."""
    from ias_core.synthesis.pretrained import loading

    return loading.load(**{**_checked(config), "plan": planned, "digest": digest})


def digest_of(config: PretrainedConfig) -> str:
    """sha256 over all files that loading reads; each is read once per process, as long as it does not change."""
    from ias_core.synthesis.pretrained import weights

    return weights.digest_of(*(one for one in _checked(config).values() if one is not None), known=_KNOWN)


def tested(load: Callable[[Plan], Backend], planned: Plan) -> tuple[Trial, Plan, tuple[str, ...]]:
    """One step at the smallest size, the plan that it was made with, and what was told on the way to it."""
    from ias_core.synthesis.pretrained.retreat import BackendRunner
    from ias_core.synthesis.pretrained.trial import try_out

    def step(backend: Backend) -> Trial:
        with _RUNNING:  # nobody releases weights that are drawing
            return try_out(backend)

    runner = BackendRunner(load, planned)
    return runner(step), runner.plan, tuple(runner.notices)


def release(backend: Backend) -> None:
    """Give the memory back, once what is being drawn with it is finished."""
    from ias_core.synthesis.pretrained import loading

    with _RUNNING:
        loading.release(backend)


def plan_key(planned: Plan) -> str:
    """What of a plan tells apart how weights lie in memory."""
    told = asdict(planned)
    return json.dumps({name: told[name] for name in ("device", "dtype", "slicing", "offload", "side_px")})


def _checked(config: PretrainedConfig) -> dict[str, Weights | None]:
    """What the settings name, by PLACES; raises WeightsUnavailable if it cannot be loaded."""
    from ias_core.synthesis.pretrained.fits import fit
    from ias_core.synthesis.pretrained.weights import recognise

    places = {name: getattr(config, name) for name in PLACES}
    found = {name: recognise(place) if place or name == "weights" else None for name, place in places.items()}
    wrong = fit(**found)
    if wrong:
        raise WeightsUnavailable(" ".join(wrong))
    return found


def _facts(found: Weights) -> dict[str, Any]:
    return {
        "place": found.place,
        "folder": str(found.folder),
        "what": found.version,
        "family": found.family,
        "kind": found.kind,
        "channels": found.channels,
        "text_width": found.text_width,
        "side_px": found.side_px,
        "bytes": found.disk_bytes,
        "parts": [
            {
                "name": part.name,
                "files": [path.name for path in part.files],
                "bytes": part.tensors.bytes,
                "parameters": part.tensors.parameters,
                "stored": sorted(part.tensors.dtypes),
                "variants": list(part.variants),
            }
            for part in found.parts
        ],
        "problems": list(found.problems),
        "notes": list(found.notes),
        "command": found.command,
    }


def _methods(found: dict[str, Weights], planned: Plan) -> dict[str, str]:
    import ias_core.synthesis
    import ias_core.synthesis.pretrained  # noqa: F401  both register methods
    from ias_core.synthesis.base import synthesizers

    weights = found["weights"]
    extras = {name.replace("_", "-") for name in found if name != "weights"}
    extras |= {weights.family} & {"paint-by-example"}
    loaded = _Announced(
        weights.kind,
        weights.family if weights.family in ("sdxl", "ddpm") else "sd",
        frozenset(extras),
        controlnet=found.get("controlnet"),
    )
    says = {}
    for name in synthesizers:
        method = synthesizers[name]
        if "backend" not in method.needs:
            continue
        says[name] = _other_weights(method, loaded) or _refusal(method, loaded)
        if not says[name] and "adapter" in method.needs and not planned.can_train:
            says[name] = f"{name} is trained first, which needs all of the weights on the GPU at once"
    return says


def _other_weights(method: Any, loaded: _Announced) -> str:
    if "paint-by-example" in set(loaded.extras) - set(method.extras):
        return f"{method.name} needs weights that take a prompt, and Paint by Example takes none"
    if loaded.kind in method.kinds and loaded.family in method.families:
        return ""
    kinds = " or ".join(_KINDS[kind] for kind in method.kinds)
    families = " or ".join(_FAMILIES[family] for family in method.families)
    return f"{method.name} needs weights {kinds}, of {families}"


def _refusal(method: Any, loaded: _Announced) -> str:
    try:
        method.check_backend(loaded)
    except IasError as error:
        return str(error)
    return ""
