"""What a run can be told, with the defaults the pages show. One place reads them from a file or from the workspace."""

import json
import tomllib
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from math import inf
from pathlib import Path
from typing import Any

from calibration.policy import ThresholdConfig
from ias_core.backbone_menu import EMBEDDED
from ias_core.errors import IasError

MIXTURE = "mixture"
FILTERS = ("null", "artefact", "duplicate")
PLACES = ("part", "near")
TURNS = ("any", "quarter", "none")
DEVICES = ("auto", "cuda", "mps", "cpu")
_TEXTS = ("sources", "adapters", "imported", "rejected")  # settings that name texts by text; the others name numbers


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """PatchCore. ``layers`` empty: strides 8 and 16. ``num_neighbors`` 1: no weighting, as leave-one-out needs."""

    backbone: str = EMBEDDED
    weights_path: str = ""
    layers: tuple[str, ...] = ()
    input_size: int = 224
    coreset_ratio: float = 0.02
    num_neighbors: int = 1
    device: str = "auto"
    check_against_anomalib: bool = True

    def __post_init__(self) -> None:
        _check(
            32 <= self.input_size <= 1024 and self.input_size % 32 == 0,
            "input_size",
            "a multiple of 32 in 32..1024",
            self.input_size,
        )
        _check(self.device in DEVICES, "device", f"one of {', '.join(DEVICES)}", self.device)
        _check(0 < self.coreset_ratio <= 1, "coreset_ratio", "in (0, 1]", self.coreset_ratio)
        _check(1 <= self.num_neighbors <= 50, "num_neighbors", "in 1..50", self.num_neighbors)


@dataclass(frozen=True, slots=True)
class OneShotConfig:
    """How a real NG's defect is carried over to good parts; see ``ias_core.synthesis.one_shot``.

    ``softness``: noise level in grey levels from which the pixel model redraws it; 0 needs no model: instant mode.
    ``guidance``: in [0, 1], how firmly the redrawing is held to the original. ``model``: digest of the pixel model,
    empty for none. ``place``: one of PLACES; ``turn``: one of TURNS.
    """

    softness: float = 0.0
    guidance: float = 0.5
    model: str = ""
    place: str = "part"
    turn: str = "any"

    def __post_init__(self) -> None:
        _check(0 <= self.softness <= 255, "softness", "in 0..255 grey levels", self.softness)
        _check(0 <= self.guidance <= 1, "guidance", "in [0, 1]", self.guidance)
        _check(self.place in PLACES, "place", f"one of {', '.join(PLACES)}", self.place)
        _check(self.turn in TURNS, "turn", f"one of {', '.join(TURNS)}", self.turn)
        _check(not self.softness or bool(self.model), "softness", "0 as long as no pixel model is named", self.softness)


@dataclass(frozen=True, slots=True)
class PretrainedConfig:
    """Diffusion weights of the user's, and what methods over them are told; see ``ias_core.synthesis.pretrained``.

    ``weights``, ``controlnet``, ``ip_adapter``: a folder of this machine or a hub id; empty for none. ``product``,
    ``defect``: words for prompts. ``steps``: of denoising; 0: as each method has it. ``adapters``: method -> digest of
    what it was trained to.
    """

    weights: str = ""
    controlnet: str = ""
    ip_adapter: str = ""
    product: str = "part"
    defect: str = "defect"
    steps: int = 0
    adapters: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(0 <= self.steps <= 1000, "steps", "in 0..1000", self.steps)


@dataclass(frozen=True, slots=True)
class SynthesisConfig:
    """Which synthetic NG are made. Only ``primary`` has a voice in rules that use synthetic NG.

    ``graded``: the method whose defects are laid out from invisible to plain, made and scored beside ``methods`` but
    never counted among them, since how many of those are found says nothing about a threshold; empty for none.
    ``mixture``: method -> share; where it is not empty, ``count`` images in these shares are one more set, of the name
    MIXTURE. ``severity``, ``size_px``: method -> dial; a method that is not named draws as published.
    ``textures``: folder of the user's textures; empty: those this package makes.
    ``foreground``: where defects may lie, as the foreground service writes it; "none": anywhere.
    ``sources``: sha256 of a real NG -> where its defect is, as ``pages.services.ng_sources`` writes it; methods that
    start from real NG start from these, and none of them can verify. ``one_shot``, ``pretrained``: their settings.
    ``imported``: name -> digest of a set of synthetic NG made elsewhere, see ``pages.services.foreign_set``.
    ``rejected``: picture, as ``pages.services.quality.picture_id`` names it -> why a person took it out of every count.
    ``filters``: of FILTERS, those whose verdicts take synthetic NG out of every count; see ``pages.services.quality``.
    """

    methods: tuple[str, ...] = ("glass-las-own", "glass-las-foreign")
    primary: str = "glass-las-own"
    count: int = 40
    graded: str = "graded-spot"
    graded_count: int = 80
    mixture: dict[str, float] = field(default_factory=dict)
    severity: dict[str, float] = field(default_factory=dict)
    size_px: dict[str, float] = field(default_factory=dict)
    textures: str = ""
    foreground: str = "none"
    filters: tuple[str, ...] = ("null", "duplicate")
    rejected: dict[str, str] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    one_shot: OneShotConfig = field(default_factory=OneShotConfig)
    pretrained: PretrainedConfig = field(default_factory=PretrainedConfig)

    def __post_init__(self) -> None:
        _check(1 <= self.count <= 500, "count", "in 1..500", self.count)
        sets = (*self.methods, *((MIXTURE,) if self.mixture else ()), *self.imported)
        _check(self.primary in sets, "primary", f"one of methods {sets}", self.primary)
        _check(
            MIXTURE not in self.methods, "methods", f"no {MIXTURE!r} among them: it is told by its shares", self.methods
        )
        _check(all(0 < v < inf for v in self.mixture.values()), "mixture", "shares above 0", self.mixture)
        _check(all(0 <= v <= 1 for v in self.severity.values()), "severity", "values in [0, 1]", self.severity)
        _check(all(0 < v < inf for v in self.size_px.values()), "size_px", "values above 0", self.size_px)
        counted = (*self.methods, *self.mixture)
        _check(self.graded not in counted, "graded", f"none of methods {counted}", self.graded)
        _check(1 <= self.graded_count <= 500, "graded_count", "in 1..500", self.graded_count)
        in_order = tuple(name for name in FILTERS if name in self.filters)
        _check(self.filters == in_order, "filters", f"some of {FILTERS}, in this order", self.filters)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Everything a run can be told; the seed decides split, coreset start and synthesis."""

    seed: int = 0
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    thresholds: ThresholdConfig = field(default_factory=ThresholdConfig)

    def __post_init__(self) -> None:
        _check(0 <= self.seed < 2**32, "seed", "in 0..4294967295", self.seed)


def _check(good: bool, name: str, expected: str, got: object) -> None:
    if not good:
        raise IasError(f"setting {name}: expected {expected}, got {got!r}")


def from_dict(cls: type, values: dict[str, Any]) -> Any:
    """A config from plain values; a name that does not exist or a value of the wrong kind stops with a sentence."""
    if not isinstance(values, dict):
        raise IasError(f"expected settings as names and values for {cls.__name__}, got {type(values).__name__}")
    known = {f.name: f for f in fields(cls)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise IasError(f"unknown setting {unknown[0]!r}; {cls.__name__} has {', '.join(known)}")
    blank = cls()
    return cls(**{name: _convert(name, getattr(blank, name), value) for name, value in values.items()})


def _convert(name: str, default: Any, value: Any) -> Any:
    if is_dataclass(default):
        return from_dict(type(default), value)
    if isinstance(default, tuple) and isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if isinstance(default, dict) and isinstance(value, dict):
        kind = "" if name in _TEXTS else 0.0
        return {key: _convert(f"{name} {key}", kind, one) for key, one in value.items()}
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is type(default):
        return value
    raise IasError(f"setting {name}: expected {type(default).__name__} like {default!r}, got {value!r}")


def to_dict(config: Any) -> dict[str, Any]:
    """JSON-ready values; ``from_dict`` reads them back."""
    return json.loads(json.dumps(asdict(config)))


def read_config(path: Path) -> RunConfig:
    """A RunConfig from a .json or .toml file; every setting may be left out.

    Raises
    ------
    IasError
        The file is not there, is neither, or holds a setting that does not exist.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise IasError(f"expected a .json or .toml settings file at {path}: {error}") from error
    return from_dict(RunConfig, values)
