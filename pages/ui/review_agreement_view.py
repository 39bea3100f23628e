"""How far reviewers agree, on screen: counts first, kappa with what it cannot say, and the pictures to talk about."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from calibration.agreement import GroupAgreement
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.ledger import ImageRecord
from pages.services.review_agreement import FLAGS, Borderline, Row, said
from pages.services.review_results import View
from pages.ui import cached, theme, widgets, words

COLUMNS = 6
_SHORT = {
    "one class": "cannot tell: all the same",
    "one rater": "cannot tell: one always the same",
    "too few": "cannot tell: too few",
    "no spread": "they never differ",
    "rare class": "one class is rare",
    "": "",
}
_PER_PAGE = 12
_KINDS = {"ok": "good parts", "synthetic": "synthetic NG", "real": "real NG"}
_ONE = {"ok": "good part", "synthetic": "synthetic NG", "real": "real NG"}


def said_by_each(view: View) -> None:
    rows = [
        {
            "reviewer": row.reviewer,
            "pictures": f"{theme.STYLES[row.kind].glyph} {_KINDS[row.kind]}",
            "judged": row.n,
            **{
                f"said {verdict}": f"{row.verdicts.get(verdict, 0)} of {row.n}"
                for verdict in ("OK", "NG", "cannot tell")
            },
            "looks made": f"{row.looks.get('made', 0)} of {row.looks.get('made', 0) + row.looks.get('real', 0)}",
        }
        for row in said(view)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True)
    st.caption(
        "Read “looks made” of good parts and real NG first: they are real. Who sees as many of these as made as of the "
        "synthetic NG cannot tell the two apart."
    )


def agreement(rows: tuple[Row, ...]) -> None:
    if not rows:
        st.info("One reviewer and no threshold: nothing to compare yet. A second reviewer can judge the same round.")
        return
    st.dataframe(
        pd.DataFrame([_row(row) for row in rows]),
        hide_index=True,
        column_config={
            "same": st.column_config.TextColumn(help="pictures of which they say the same, OK or NG"),
            "kappa (95 %)": st.column_config.TextColumn(help="agreement beyond chance: 0 is chance, 1 always the same"),
            "left out": st.column_config.NumberColumn(help="one of them could not tell, or has not judged it"),
        },
    )
    for flag in dict.fromkeys(row.found.flag for row in rows if row.found and row.found.flag):
        st.caption(f"**{words.capital(_SHORT[flag])}**. {words.capital(FLAGS[flag].removeprefix('cannot tell: '))}.")
    kept = max(row.kept for row in rows)
    if kept:
        st.caption(
            f"{kept} real NG are not compared with the detector here: their scores are kept for verification, or they "
            "have none yet. They are compared once they have been on screen on the Verification page."
        )
    with st.expander("How was this computed"):
        st.dataframe(pd.DataFrame([_details(row) for row in rows if row.found]).fillna(""), hide_index=True)
        st.markdown(
            "Same: pictures that both call OK, or both call NG; 95 %: exact one-sided Clopper-Pearson limit. “Cannot "
            "tell” is left out and counted. Kappa is agreement beyond what the shares of NG alone would give: 0 is "
            "chance, 1 is always the same; Cohen's for two (interval of Fleiss, Cohen and Everitt 1969, two-sided, "
            "95 %), Fleiss' for three and more (standard error over the pictures: Gwet 2008). It depends on how "
            "frequent NG are among what was judged, so it is never compared between kinds of pictures, and “all kinds "
            "together” holds for this mix only. **One class rare**: agreement is proven above one half, but kappa's "
            "interval reaches 0, or kappa is lower than it would be with as many NG as OK (PABAK lies above its "
            "interval). NG same and OK same: Cicchetti and Feinstein 1990. Prevalence: (both NG - both OK) / n; bias: "
            "(first only NG - second only NG) / n."
        )


def _row(row: Row) -> dict[str, Any]:
    found, same, kappa = row.found, "-", "-"
    if found is not None:
        agree = found.agree
        same = f"{agree.k} of {agree.n} (95 %: at least {widgets.percent(agree.low)})"
        kappa = "cannot tell" if found.kappa is None else f"{found.kappa:.2f}"
        kappa += f" ({found.low:.2f} to {found.high:.2f})" if found.low is not None else ""
    return _whose(row) | {
        "same": same,
        "kappa (95 %)": kappa,
        "left out": row.left_out,
        "read this": _SHORT[found.flag] if found else "no picture in common",
    }


def _details(row: Row) -> dict[str, Any]:
    found = row.found
    told = _whose(row) | {"PABAK": _rate(found.pabak)}
    if isinstance(found, GroupAgreement):
        return told | {"pairs that say the same": _rate(found.pairs), "standard error": _rate(found.standard_error)}
    return told | {
        "NG same": _rate(found.positive),
        "OK same": _rate(found.negative),
        "highest kappa": _rate(found.kappa_max),
        "prevalence": f"{found.prevalence:+.2f}",
        "bias": f"{found.bias:+.2f}",
    }


def _whose(row: Row) -> dict[str, Any]:
    glyph = f"{theme.STYLES[row.kind].glyph} " if row.kind else ""
    return {"between": words.capital(row.between), "pictures": f"{glyph}{row.pictures}"}


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def borderline_gallery(
    found: tuple[Borderline, ...],
    detector: DetectorResult,
    synthesis: SynthesisResult,
    records: dict[str, ImageRecord],
) -> None:
    st.subheader(f"Borderline pictures ({len(found)})")
    if not found:
        st.caption("None: nobody differs, nobody could not tell, and none lies in the review band.")
        return
    st.caption(
        "Reviewers differ, or one cannot tell, or the score lies in the review band. Agree on these together and keep "
        "them as limit samples."
    )
    size = detector.meta["input_size"]
    for shown in in_rows(list(found), "review-borderline-page"):
        items = [
            (lambda one=one: cached.review_picture(one.item, size, records, synthesis), _borderline_caption(one))
            for one in shown
        ]
        widgets.gallery(widgets.drawn(items), columns=COLUMNS)


def _borderline_caption(one: Borderline) -> str:
    kind = f"{theme.STYLES[one.item.kind].glyph} {_ONE[one.item.kind]}"
    score = "score kept for verification" if one.score is None else f"score {one.score:.2f}"
    return f"{kind}, {one.item.name}: {one.why}. {one.said}; {score}"


def in_rows(found: list[Any], key: str) -> list[list[Any]]:
    """The rows of pictures on the page that is chosen."""
    pages = -(-len(found) // _PER_PAGE)
    page = (st.pagination(pages, key=key) or 1) - 1 if pages > 1 else 0
    chosen = found[page * _PER_PAGE : (page + 1) * _PER_PAGE]
    return [chosen[a : a + COLUMNS] for a in range(0, len(chosen), COLUMNS)]
