"""What the reviewers said, once nobody who looks at it is blind any more."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.services import filters
from pages.services.artifacts import DetectorResult, SynthesisResult
from pages.services.filters import Effect
from pages.services.ledger import ImageRecord, Ledger
from pages.services.review_agreement import agreements, borderline
from pages.services.review_results import (
    REASONS,
    Opinion,
    View,
    judged_synthetic,
    line_of,
    moved,
    taken_out,
    to_be_changed,
    view_of,
)
from pages.services.settings import RunConfig
from pages.services.workspace import Workspace
from pages.ui import cached, widgets, words
from pages.ui.review_agreement_view import COLUMNS, agreement, borderline_gallery, in_rows, said_by_each


def show(
    ws: Workspace, detector: DetectorResult, synthesis: SynthesisResult, config: RunConfig, *, running: bool
) -> None:
    """Everything below the round; ``running``: synthetic NG are being made, so none can be taken out."""
    line = line_of(ws, detector, synthesis, config)
    view = view_of(ws, detector, synthesis, config, threshold=line.threshold, review_from=line.review_from)
    if view is None or not view.reviewers:
        st.info("Nobody has ended this round with a choice, so there is nothing to show.")
        return
    total = len(view.round.items)
    st.markdown(
        f"Round {view.round.number}, {total} pictures. Ended by "
        + ", ".join(f"**{one.name}** ({len(one.choices)} of {total} judged)" for one in view.reviewers)
        + ". Names are typed, unverified."
    )
    if view.waiting:
        names = ", ".join(f"{one.name} ({len(one.choices)} of {total})" for one in view.waiting)
        st.caption(f"Not ended yet: {names}. Their choices are not shown, and count nowhere, before they end.")
    records = {record.sha256: record for record in Ledger(ws).records()}
    _synthetic(ws, detector, synthesis, config, view, records, running=running)
    st.subheader("What each reviewer said")
    said_by_each(view)
    st.subheader("How far they agree")
    if line.threshold is not None:
        st.caption(
            f"The detector's verdicts: NG from {line.threshold:.3f} feature distance on, the {line.is_} threshold."
        )
    agreement(agreements(view))
    borderline_gallery(borderline(view), detector, synthesis, records)


def _synthetic(
    ws: Workspace,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    view: View,
    records: dict[str, ImageRecord],
    *,
    running: bool,
) -> None:
    st.subheader("Which synthetic NG stand")
    reasons = st.pills(
        "What counts against a synthetic NG",
        REASONS,
        selection_mode="multi",
        default=list(REASONS),
        key="review-reasons",
        help="Called OK: more reviewers call it OK than NG, so to them it is no defect. Looks made: to more of them it "
        "looks made than real, so it is no defect as the line has them. “Cannot tell” and skipped questions are no "
        "answer, and a draw rejects nothing",
    )
    opinions = judged_synthetic(view, reasons)
    if not opinions:
        st.info("This round has no synthetic NG.")
        return
    of = {verdict: [one for one in opinions if one.verdict == verdict] for verdict in ("accepted", "rejected", "open")}
    n = len(opinions)
    for column, (verdict, help_) in zip(st.columns(3), _VERDICT_HELP.items(), strict=True):
        column.metric(words.capital(verdict), f"{len(of[verdict])} of {n}", border=True, help=help_)
    _before_and_after(ws, detector, synthesis, config, opinions, running=running)
    if of["rejected"]:
        with st.expander(f"Rejected synthetic NG ({len(of['rejected'])})", expanded=True):
            _rejected(ws, detector, synthesis, config, of["rejected"], records, running=running)
    if of["open"]:
        names = ", ".join(one.item.name for one in of["open"][:10])
        more = ", ..." if len(of["open"]) > 10 else ""
        st.caption(f"Open: {names}{more}. They count like those nobody reviewed.")


_VERDICT_HELP = {
    "accepted": "more reviewers call it NG than OK, and no reason above stands against it",
    "rejected": "a reason above stands against it",
    "open": "as many call it OK as NG, or nobody could tell, or nobody has judged it yet",
}


def _before_and_after(
    ws: Workspace,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    opinions: tuple[Opinion, ...],
    *,
    running: bool,
) -> None:
    found = moved(detector, synthesis, config, opinions)
    change = to_be_changed(opinions, config)
    primary = words.method(synthesis.meta["primary"])
    st.markdown(f"##### How far the numbers move (primary method: {primary})")
    rows = [_effect("without the review", found.before), _effect("with the rejected out", found.after)]
    rows.append({"": "difference"} | _difference(found.before, found.after))
    st.dataframe(pd.DataFrame(rows), hide_index=True)
    st.caption(
        "Thresholds in feature distance. Taking out what people call OK **can raise the synthetic recall by "
        "construction**: what nobody sees is often what the detector does not see. The recall of synthetic NG is not "
        "evidence of escape. The recommended threshold comes from good parts alone; synthetic NG can veto it and never "
        "move it."
    )
    for why in dict.fromkeys(one.why for one in (found.before, found.after) if one.why):
        st.caption(words.in_sentence(why))
    out, back = sum(map(bool, change.values())), sum(not why for why in change.values())
    if not change:
        taken = len(taken_out(config))
        st.success(
            f"In force: {taken} synthetic NG are out of every count by expert review."
            if taken
            else "Nothing to take out: the numbers stand as they are."
        )
        return
    label = [f"Take the rejected out ({out})"] * bool(out) + [f"take {back} back in"] * bool(back)
    st.button(
        words.capital(", ".join(label)),
        type="primary",
        key="review-take-out",
        disabled=running,
        on_click=_change,
        args=(ws, detector, config, change),
        help="They leave every rule, curve and figure at once and can be taken back. A fixed threshold is out of date "
        "then: fix it again on the Thresholds page",
    )


def _change(ws: Workspace, detector: DetectorResult, config: RunConfig, change: dict[str, str]) -> None:
    widgets.told(lambda: filters.reject_many(ws, detector, config, change))


def _effect(name: str, effect: Effect) -> dict[str, str]:
    area, caught = effect.area, effect.caught
    return {
        "": name,
        "synthetic NG that count": f"{effect.kept} of {effect.made}",
        "AUROC on synthetic NG (95 %)": f"{area.auroc:.3f} ({area.low:.3f} to {area.high:.3f})" if area else "-",
        "Youden threshold": _number(effect.youden),
        "recommended threshold": _number(effect.recommended),
        "caught there": f"{caught.k} of {caught.n} (95 %: at least {widgets.percent(caught.low)})" if caught else "-",
    }


def _difference(before: Effect, after: Effect) -> dict[str, str]:
    def step(first: float | None, second: float | None) -> str:
        return "-" if first is None or second is None else f"{second - first:+.3f}"

    return {
        "synthetic NG that count": f"{after.kept - before.kept:+d}" if after.kept != before.kept else "0",
        "AUROC on synthetic NG (95 %)": step(
            before.area.auroc if before.area else None, after.area.auroc if after.area else None
        ),
        "Youden threshold": step(before.youden, after.youden),
        "recommended threshold": step(before.recommended, after.recommended),
        "caught there": "",
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _rejected(
    ws: Workspace,
    detector: DetectorResult,
    synthesis: SynthesisResult,
    config: RunConfig,
    rejected: list[Opinion],
    records: dict[str, ImageRecord],
    *,
    running: bool,
) -> None:
    size, out = detector.meta["input_size"], taken_out(config)
    for shown in in_rows(rejected, "review-rejected-page"):
        for column, one in zip(st.columns(COLUMNS), shown, strict=False):
            picture = widgets.drawn([(lambda one=one: cached.review_picture(one.item, size, records, synthesis), "")])
            for png, _ in picture:
                column.image(png, width="stretch")
            column.caption(f"{one.item.name}: {one.why.partition(': ')[2]}")
            if one.item.key in out:
                column.button(
                    "Take back in",
                    key=f"review-back-{one.item.key}",
                    disabled=running,
                    on_click=_change,
                    args=(ws, detector, config, {one.item.key: ""}),
                )
