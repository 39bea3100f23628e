"""Synthetic NG made elsewhere: bring a set, see what was taken, say where it comes from, and only then import it."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import streamlit as st

from ias_core.errors import IasError, ImageRefused, IntakeRefused
from ias_core.foreground import mask_at_size
from pages.services.contact_sheet import with_rim
from pages.services.foreign_answers import PREFIX, Imported, admit, discard, imported, key_of, remove
from pages.services.foreign_lineage import BARS, WARNS, barred, consequences
from pages.services.foreign_set import ForeignSet, load
from pages.services.foreign_take import take, take_upload
from pages.services.ledger import OK, ImageRecord, Ledger
from pages.services.settings import RunConfig
from pages.services.workspace import Workspace
from pages.ui import foreign_questions, state, widgets

TREE = """\
my-set/
  images/   crack 1.png    crack 2.png ...       the pictures
  masks/    crack 1.png    crack 2_mask.png ...  white where the defect is; of the picture's size
  control/  1.png 2.png ...                      only for drawn backgrounds: the same, without a defect
  manifest.json or manifest.csv                  may be left out"""
_EXPECTED = """
Masks may lie beside the pictures as well, as `crack 1_mask.png`; what *Save as a data set* and `cli.py synth` write is
read as it is. Pictures have the good parts' size, or their aspect. A manifest names, for each picture, `file` and
whatever of `mask`, `parent` (the good part: file name or sha256), `seed_ng` (real NG it was made from), `method` and
`severity` (0 to 1) is known.
"""
_FOLDER, _ZIP = "A folder of this machine", "A zip"
_ICONS = {BARS: ":material/block:", WARNS: ":material/warning:"}
_SHOWN, _SHOWN_PX = 6, 224

Save = Callable[[dict[str, str]], None]


def show(ws: Workspace, config: RunConfig, save: Save) -> None:
    """The whole block; ``save`` keeps the imported sets, name -> digest, in the settings."""
    st.markdown(
        "Synthetic NG that another tool made are scored and judged beside those made here, once somebody has said "
        "where they come from."
    )
    sets = config.synthesis.imported
    for name, digest in sets.items():
        _one_set(ws, name, digest, sets, save, is_primary=name == config.synthesis.primary)
    good = Ledger(ws).records(label=OK)
    if not good:
        st.info("A set is compared with good parts, and there is none: load them on the data page.")
        return
    _bring(ws, good)
    draft = state.get("foreign-draft")
    if draft is None:
        return
    foreign = widgets.told(lambda: load(ws, draft))
    if foreign is not None:
        _what_was_taken(foreign, {record.sha256: record.name for record in Ledger(ws).records()})
        _ask(ws, foreign, good, sets, save)


def _bring(ws: Workspace, good: Sequence[ImageRecord]) -> None:
    with st.expander("What is expected"):
        st.code(TREE, language=None)
        st.markdown(_EXPECTED)
    way = st.segmented_control("Where is the set?", [_FOLDER, _ZIP], default=_FOLDER, key="foreign-way") or _FOLDER
    squeezed = False
    if any(record.width != record.height for record in good):
        squeezed = st.toggle(
            "Square pictures show all of the part, squeezed",
            key="foreign-squeezed",
            help="Many generators make squares. Switch it on only where none was cut out of a larger picture",
        )
    if way == _ZIP:
        file = st.file_uploader("Zip of the set", type="zip", key="foreign-zip")
        read = partial(take_upload, ws, file.name, file.getbuffer()) if file else None
    else:
        folder = st.text_input("Folder of the set", key="foreign-folder", placeholder="/data/my-set").strip()
        read = partial(take, ws, folder) if folder else None
    first = "primary" if state.get("foreign-draft") is None else "secondary"
    if st.button("Read the set", type=first, disabled=read is None, key="foreign-read"):
        bar = st.progress(0.0, text="Reading the pictures")
        try:
            foreign = read(
                squeezed=squeezed,
                progress=lambda stage, done, total, message="": bar.progress(
                    min(1.0, done / max(1, total)), text=f"{message}: {done} of {total}" if total > 1 else message
                ),
            )
        except (IasError, ImageRefused) as error:
            bar.empty()
            st.error(_plain(str(error)))
            if isinstance(error, IntakeRefused) and error.rejected:
                _refusals(error.rejected)
        else:
            _draft(foreign.digest, foreign.name)
            st.rerun()


def _what_was_taken(foreign: ForeignSet, name_of: Mapping[str, str]) -> None:
    for column, title, n in zip(
        st.columns(3),
        ("Pictures taken", "Control pictures", "Files refused"),
        (len(foreign.entries), len(foreign.control), len(foreign.refused)),
        strict=True,
    ):
        column.metric(title, n, border=True)
    if foreign.refused:
        with st.expander(f"{len(foreign.refused)} files were refused; the others are all here", expanded=True):
            _refusals(foreign.refused)
    items = []
    for one in foreign.entries[:_SHOWN]:
        try:
            drawn = with_rim(foreign.picture(one, _SHOWN_PX), mask_at_size(foreign.mask(one), _SHOWN_PX))
        except ImageRefused as refused:
            st.warning(f"{_plain(one.name)}: {refused}")
            continue
        items.append((drawn, _plain(one.name)))
    widgets.gallery(items, columns=_SHOWN)
    st.dataframe(
        [
            {
                "picture": one.name,
                "mask": 100 * one.share,
                "good part": name_of.get(one.parent, ""),
                "good part matches": one.match,
                "real NG": ", ".join(name_of.get(sha, sha[:8]) for sha in one.sources),
                "method": one.method,
                "severity": one.severity,
            }
            for one in foreign.entries
        ],
        hide_index=True,
        column_config={
            "mask": st.column_config.NumberColumn("defect", format="%.1f %%", help="share of the picture"),
            "good part matches": st.column_config.TextColumn(
                help="Outside the mask. Exactly: no grey level differs by more than one. Nearly: it is closer to this "
                "good part than any two good parts are to each other"
            ),
        },
    )
    if foreign.manifest.unused:
        st.caption(f"Not read in {foreign.manifest.name}: {_plain(', '.join(foreign.manifest.unused))}.")


def _refusals(refused: Sequence) -> None:
    st.dataframe(
        {"file": [one.name for one in refused], "why it was refused": [one.reason for one in refused]}, hide_index=True
    )


def _ask(ws: Workspace, foreign: ForeignSet, good: Sequence[ImageRecord], sets: Mapping[str, str], save: Save) -> None:
    st.markdown("##### Where does it come from?")
    name = st.text_input(
        "Name of the set", state.get("foreign-name") or foreign.name, key=f"foreign-name-{foreign.digest}"
    )
    lineage = foreign_questions.ask(ws, foreign, good)
    key = None
    if lineage is None:
        st.caption("What follows from the answers is said here as soon as all are given.")
    else:
        st.markdown("##### What follows")
        for one in consequences(ws, foreign, lineage):
            st.markdown(f"{_ICONS.get(one.kind, ':material/arrow_right:')} {_plain(one.sentence)}")
        key = widgets.told(lambda: key_of(name))
    if key is not None:
        there = ", in the place of the set of this name" if key in sets else ""
        st.caption(f"Among the synthetic NG it will be {key}{there}.")
    left, right, _ = st.columns([1, 1, 4])
    right.button("Discard", key="foreign-discard", on_click=partial(_discard, ws, foreign.digest, sets))
    if left.button("Import the set", type="primary", disabled=key is None, key="foreign-import"):
        digest = widgets.told(lambda: admit(ws, foreign, lineage))
        if digest is not None:
            new = {**sets, key: digest}
            save(new)
            if key in sets:
                remove(ws, sets[key], list(new.values()))
            _draft(None)
            st.rerun()


def _draft(digest: str | None, name: str = "") -> None:
    state.put("foreign-draft", digest)
    state.put("foreign-name", name)


def _discard(ws: Workspace, digest: str, sets: Mapping[str, str]) -> None:
    discard(ws, digest, list(sets.values()))
    _draft(None)


def _one_set(ws: Workspace, name: str, digest: str, sets: Mapping[str, str], save: Save, *, is_primary: bool) -> None:
    with st.container(border=True):
        text, again, out = st.columns([6, 1, 1], vertical_alignment="center")
        try:
            one = imported(ws, digest)
        except IasError as error:
            text.error(f"{name}: {error}.")
        else:
            _about(text, ws, name, one)
            again.button(
                "Answer again",
                key=f"foreign-again-{name}",
                on_click=partial(_draft, one.set.digest, name.removeprefix(PREFIX)),
            )
        out.button(
            "Remove",
            key=f"foreign-remove-{name}",
            disabled=is_primary,
            help="It is the primary one: choose another first"
            if is_primary
            else "Its pictures are deleted; real NG that taught the generator stay generator seeds",
            on_click=partial(_take_out, ws, name, sets, save),
        )


def _about(place, ws: Workspace, name: str, one: Imported) -> None:
    place.markdown(
        f"**{name}**: {len(one.set.entries)} pictures by {_plain(one.lineage.generator)}; answered by "
        f"{_plain(one.lineage.by)}, {one.lineage.at[:10]}"
    )
    why = barred(ws, one.set, one.lineage)
    if why:
        place.warning(f"Nothing counts it. {_plain(why)}")


def _take_out(ws: Workspace, name: str, sets: Mapping[str, str], save: Save) -> None:
    left = {key: digest for key, digest in sets.items() if key != name}
    save(left)
    remove(ws, sets[name], list(left.values()))


def _plain(text: str) -> str:
    """Text that a file may have brought, without any meaning as markdown."""
    return re.sub(r"([\\`*_\[\]<>$~#|])", r"\\\1", text)
