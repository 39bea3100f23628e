"""Where defects may lie: choose it, upload or draw a mask, look at it on good parts, and only then use it."""

import io
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import streamlit as st
from PIL import Image
from plotly.colors import hex_to_rgb
from streamlit.delta_generator import DeltaGenerator

from ias_core.errors import IasError, ImageRefused
from ias_core.foreground import FoundPart, find_part, mask_at_size, mask_of_outlines, read_mask
from pages.services import foreground
from pages.services.contact_sheet import rim
from pages.services.ledger import ImageRecord
from pages.services.workspace import Workspace
from pages.ui import cached, drawing, theme, widgets, words

KINDS = {
    foreground.NONE: "Anywhere",
    foreground.FOUND: "On the part, found in each picture",
    foreground.GIVEN: "Inside one mask for all pictures",
}
_SHOWN, _COLUMNS = 12, 6
_CANVAS_PX = 460  # side of the picture that is drawn on
_KEPT, _DRAW, _UPLOAD = "kept", "draw", "upload"
_USE = "Outline is right: use it"
_DIMMED = 0.3  # brightness of what is not the part
_LINE_PX = 2


def show(
    ws: Workspace,
    choice: str,
    records: Sequence[ImageRecord],
    *,
    size: int,
    save: Callable[[str], None],
) -> None:
    """Ask where defects may lie; ``save`` gets the new choice once somebody has looked at it and confirmed.

    Parameters
    ----------
    ws : Workspace
    choice : str
        In use now; see ``pages.services.foreground``.
    records : sequence of ImageRecord
        A few calibration OK pictures to look at; at least one.
    size : int
        The detector's input size, in px: the part is found at this size.
    save : callable
        Keeps the choice; the page is drawn again afterwards.
    """
    in_use = foreground.kind_of(choice)
    kind = st.segmented_control(
        "Where may defects lie?",
        list(KINDS),
        default=in_use,
        format_func=KINDS.get,
        key="foreground-kind",
        help="A defect beside the part tests nothing. A texture product, such as cloth or sheet metal that fills the "
        "picture, needs no mask",
    )
    records, pictures = _readable(records[:_SHOWN], size)
    if not records:
        return
    if kind == foreground.FOUND:
        _found(choice, pictures, save)
    elif kind == foreground.GIVEN:
        _given(ws, choice, records, pictures, save)
    else:
        st.caption("Defects may lie anywhere in the picture, also beside the part.")
        _confirm("Let defects lie anywhere", choice == foreground.NONE, lambda: save(foreground.NONE))


def _found(choice: str, pictures: Sequence[np.ndarray], save: Callable[[str], None]) -> None:
    found = [find_part(picture) for picture in pictures]
    st.caption(
        "The part is what differs in colour from the border of the picture. Shadows, a second part or an uneven "
        "background mislead it."
    )
    _outlines([part.mask for part in found], pictures, [_found_caption(part) for part in found], columns=_COLUMNS)
    textures = [part.why_texture for part in found if part.why_texture]
    if textures:
        st.info(
            f"{len(textures)} of {len(found)} pictures look like a texture product, so defects may lie anywhere in "
            f"them: {'; '.join(dict.fromkeys(textures))}."
        )
    _confirm(_USE, choice == foreground.FOUND, lambda: save(foreground.FOUND))


def _found_caption(part: FoundPart) -> str:
    return "all of the picture: texture product" if part.why_texture else f"{_share(part.mask)} of the picture"


def _given(
    ws: Workspace,
    choice: str,
    records: Sequence[ImageRecord],
    pictures: Sequence[np.ndarray],
    save: Callable[[str], None],
) -> None:
    st.caption("One mask serves where the part lies in the same place in every picture.")
    has_one = foreground.kind_of(choice) == foreground.GIVEN
    ways = ({_KEPT: "The mask in use"} if has_one else {}) | {_DRAW: "Draw it", _UPLOAD: "Upload it"}
    first = next(iter(ways))
    way = st.segmented_control(
        "Mask", list(ways), default=first, format_func=ways.get, key="foreground-way", label_visibility="collapsed"
    )
    left, right = st.columns([1, 1] if way == _DRAW else [1, 3])
    read = {
        _KEPT: partial(foreground.given_mask, ws, choice),
        _DRAW: partial(_drawn, records, right),
        _UPLOAD: _uploaded,
    }[way or first]
    try:
        with left:
            mask = read()
        if mask is None:
            return
        new = foreground.choice_of(mask)
    except (IasError, ImageRefused) as error:
        left.error(f"{words.capital(str(error))}.")
        return
    small = mask_at_size(mask, pictures[0].shape[0])
    if not small.any():
        left.error(f"Nothing of this mask is left at {len(small)} px: draw or upload a larger one.")
        return
    with right:
        _outlines([small] * len(pictures), pictures, [""] * len(pictures), columns=4 if way == _DRAW else _COLUMNS)
    with left:
        st.caption(f"{_share(small)} of the picture is part.")
        _confirm(_USE, choice == new, lambda: save(foreground.keep_mask(ws, mask)))


def _uploaded() -> np.ndarray | None:
    file = st.file_uploader(
        "Mask: white is part",
        type=["png", "bmp", "tif", "tiff", "jpg", "jpeg"],
        key="foreground-file",
        help="Black is not part. Of any size, with sides in the proportion of the pictures",
    )
    return None if file is None else read_mask(file.getvalue())


def _drawn(records: Sequence[ImageRecord], beside: DeltaGenerator) -> np.ndarray | None:
    names = [record.name for record in records]
    name = beside.selectbox("Picture to draw on", names, key="foreground-canvas")
    beside.caption(
        "Draw around the part with the mouse held down. Drawing again starts anew; with Shift held down, it adds "
        "another piece. Lasso and rectangle are above the picture."
    )
    drawn = drawing.board(
        cached.thumbnail(records[names.index(name)], _CANVAS_PX),
        _CANVAS_PX,
        key=f"foreground-drawing-{name}",
        alt="A good part to draw the outline on",
    )
    outlines = drawing.outlines_of(drawn)
    return mask_of_outlines(outlines, width=_CANVAS_PX, height=_CANVAS_PX) if outlines else None


def _outlines(
    masks: Sequence[np.ndarray], pictures: Sequence[np.ndarray], captions: Sequence[str], *, columns: int
) -> None:
    shown = [with_outline(picture, mask) for picture, mask in zip(pictures, masks, strict=True)]
    widgets.gallery(list(zip(shown, captions, strict=True)), columns=columns)


def with_outline(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(h, w, 3): the part as it is, all else dimmed, and the line between them."""
    shown = np.where(mask[..., None], picture, _DIMMED * picture)
    shown[rim(mask, _LINE_PX)] = np.array(hex_to_rgb(theme.STYLES["synthetic"].colour)) / 255
    return shown


def _confirm(label: str, in_use: bool, use: Callable[[], None]) -> None:
    if in_use:
        st.badge("In use", icon=":material/check:", color="blue")
    else:
        st.button(label, type="primary", key="foreground-confirm", on_click=use)


def _share(mask: np.ndarray) -> str:
    return f"{100 * mask.mean():.0f} %"


def _readable(records: Sequence[ImageRecord], size: int) -> tuple[list[ImageRecord], list[np.ndarray]]:
    """Those whose files are still there, with their pictures (size, size, 3) in [0, 1]; of the others it is told."""
    kept, pictures = [], []
    for record in records:
        try:
            png = cached.thumbnail(record, size)
        except ImageRefused as refused:
            st.warning(str(refused))
            continue
        kept.append(record)
        pictures.append(np.asarray(Image.open(io.BytesIO(png)), np.float32) / 255)
    return kept, pictures
