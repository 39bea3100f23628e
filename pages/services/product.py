"""What a release is for: part, line, camera, light, how long it holds, and what is proposed; typed by the engineer."""

from dataclasses import asdict, dataclass
from datetime import date

from ias_core.errors import IasError
from pages.services.workspace import Workspace

_MOST_LETTERS = 400


@dataclass(frozen=True, slots=True)
class Product:
    """All texts may be empty; ``expires`` is an ISO date or empty."""

    part: str = ""
    line: str = ""
    camera: str = ""
    light: str = ""
    expires: str = ""
    proposed_release: str = ""


def product_of(ws: Workspace) -> Product:
    return Product(**ws.get_choice("product", {}))


def save_product(ws: Workspace, product: Product) -> None:
    """Keep it.

    Raises
    ------
    IasError
        A text of more than 400 letters, or an expiry that is no date.
    """
    for name, text in asdict(product).items():
        if len(text) > _MOST_LETTERS:
            raise IasError(f"{name}: expected at most {_MOST_LETTERS} letters, got {len(text)}: say it shorter")
    if product.expires:
        try:
            date.fromisoformat(product.expires)
        except ValueError:
            raise IasError(f"expires: expected a date like 2027-01-31, got {product.expires!r}") from None
    ws.set_choice("product", {name: text.strip() for name, text in asdict(product).items()})
