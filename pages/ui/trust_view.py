"""What the recommended threshold is worth: a block each for range, smallest defect, transfer, review and collecting."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import streamlit as st

from calibration.collect import Plan, plan
from calibration.pod import PodCurve
from calibration.policy import ThresholdConfig
from calibration.review import ReviewBand
from calibration.robustness import RECALL, RECOMMENDED, YOUDEN, Spread
from calibration.rules import is_ng
from calibration.transfer import Difference, Transfer
from ias_core.overlay import colour_scale
from pages.services.artifacts import DetectorResult
from pages.services.ledger import ImageRecord
from pages.services.measured_ng import MeasuredNg
from pages.services.pictures import read_at_size
from pages.services.thresholds import Evidence
from pages.services.trust import INTEGRATED, SNR, StandingApart, Trust, measures_of
from pages.ui import charts, widgets, words

_SHOWN = 8
_LEAST_CLAIM = 0.01  # percent; what the number input shows
_UNITS = {SNR: ""}
_VERDICTS = {"transfers": st.success, "does not transfer": st.error}


def standing_apart(apart: StandingApart, detector: DetectorResult, records: dict[str, ImageRecord]) -> None:
    """OK images that score far above the others, with maps: before they move a threshold, somebody looks at them."""
    if not apart.images:
        return
    scored = detector.sets[apart.set_name]
    place = {image: i for i, image in enumerate(scored.ids)}
    shown = [row for row in apart.images if row[1] in records][:_SHOWN]
    n = len(apart.images)
    with st.container(border=True):
        st.markdown(
            f"##### {n} OK picture{'s stand' if n > 1 else ' stands'} apart from the other "
            f"{len(scored.ids) - n}: look before you trust a threshold"
        )
        st.caption(
            "Their scores lie further out than the highest of so many good parts would, if log-scores were normal. A "
            "defective part among the good ones? Then remove it and load the pictures again. A good part that is just "
            "rare? Then it belongs here. Nothing was left out."
        )
        scale, size = colour_scale(detector.sets["bank"].patch_scores), detector.meta["input_size"]
        widgets.gallery(
            widgets.overlay_items(
                [sha for _, sha, _ in shown],
                [f"{name}: {score:.2f}" for name, _, score in shown],
                [lambda r=records[sha]: read_at_size(r, size) for _, sha, _ in shown],
                [scored.patch_scores[place[sha]] for _, sha, _ in shown],
                scored_by=detector.meta["bank_id"] + ("/loo" if apart.set_name == "bank" else ""),
                scale=scale,
                opacity=0.5,
                size=size,
            ),
            columns=8,
        )
        widgets.scale_caption(scale)
        if apart.moved:
            moved = [
                f"{m.title} {m.value:.3f} → " + ("none" if m.without is None else f"{m.without:.3f}")
                for m in apart.moved
            ]
            st.caption(f"Without {'them' if n > 1 else 'it'} the thresholds would be: {'; '.join(moved)}.")


def robustness(trust: Trust, *, start_seeds: Callable[[], None], running: bool) -> None:
    """Ranges of the recommended threshold, of Youden's, and of the synthetic recall."""
    st.markdown("How far do the numbers move when something changes that should not matter?")
    for quantity, unit in ((RECOMMENDED, "feature distance"), (YOUDEN, "feature distance"), (RECALL, "%")):
        rows = [_in_words(spread) for spread in trust.spreads if spread.quantity == quantity]
        if rows:
            ranges = "; ".join(f"{row.varied} {row.low:.3g} to {row.high:.3g}" for row in rows)
            st.plotly_chart(
                charts.spreads(rows, quantity, unit=unit), key=f"spread-{quantity}", alt=f"{quantity}: {ranges}"
            )
    st.caption(
        "Synthetic NG cannot move the recommended threshold, whatever their generator, strength or share: by policy it "
        "has no such row. A range over resampled images is no bound; the bound is the promise of the rule."
    )
    if not any(spread.varied == "seed of the coreset" for spread in trust.spreads):
        st.caption("The seed of the coreset was not varied yet: it takes about as long as building the detector.")
        if st.button("Vary the seed of the coreset", key="seeds", disabled=running):
            start_seeds()


def _in_words(spread: Spread) -> Spread:
    """The ends of a range by the names that methods have on screen."""
    return replace(spread, ends=tuple(words.in_sentence(end) for end in spread.ends))


def pod(trust: Trust, evidence: Evidence, measured: MeasuredNg | None, threshold: float) -> None:
    """The smallest defect that is found: POD of graded spots, real NG with masks drawn on it."""
    st.markdown("How large and how strong must a defect be to be found? **This is what a minute defect means here.**")
    graded = evidence.graded
    if graded is None or not trust.pods:
        st.info("No graded spots were made: make the synthetic NG again on the Synthetic NG page.")
        return
    found = is_ng(graded.scores, threshold)
    axes = dict(measures_of(graded.size_px, graded.snr))
    real = dict(measures_of(measured.size_px, measured.snr)) if measured is not None and len(measured.names) else {}
    name = st.segmented_control(
        "Measured by", [curve.measure for curve in trust.pods], default=trust.pods[0].measure, key="pod-measure"
    )
    curve = next((c for c in trust.pods if c.measure == name), trust.pods[0])
    st.markdown(f"##### {pod_sentence(curve)}")
    st.plotly_chart(
        charts.pod(
            curve,
            graded_a=axes[curve.measure],
            graded_found=found,
            real_a=real.get(curve.measure),
            real_found=is_ng(measured.scores, threshold) if real else None,
            real_names=measured.names if real else (),
            threshold=threshold,
            unit=_UNITS.get(curve.measure, "px"),
        ),
        key="pod",
        alt=pod_sentence(curve),
    )
    for note in curve.notes:
        st.caption(f"{note}.")  # not capitalised: a90 is a symbol
    if curve.measure == INTEGRATED and curve.a90 is not None:
        pairs = [f"{size} px at a signal-to-noise ratio of {curve.a90 / size:.1f}" for size in (5, 10, 20)]
        st.markdown(f"Nine of ten found means for example: {', '.join(pairs)}.")
    unplaced = ""
    if measured is not None and measured.without:
        unplaced = f" {measured.without} real NG have no usable mask and cannot be placed here."
    st.caption(
        "Spots are made on good parts: they say what this detector resolves, not how large real defects are. Size "
        f"alone or strength alone mixes both; their product is the fairest axis.{unplaced}"
    )


def pod_sentence(curve: PodCurve) -> str:
    """The answer in one line."""
    seen = f"{curve.n_found} of {curve.n} graded spots found"
    if curve.reason:
        return f"{seen}; no curve: {curve.reason}"
    if curve.a90 is None:
        return seen
    sure = f"95 %: from {curve.a90_95:.3g} on" if curve.a90_95 is not None else "95 %: not reached"
    return f"{seen}; 90 % are found from {curve.measure} {curve.a90:.3g} on ({sure})"


def transfers(trust: Trust, evidence: Evidence, real_names: tuple[str, ...]) -> None:
    """Synthetic against real: what a threshold set on synthetic NG does to real ones."""
    st.markdown("Would a threshold set on synthetic NG have held on real ones? Judged by check OK and real NG.")
    if not trust.transfers:
        st.info("No synthetic NG gives a threshold here, so there is nothing to compare.")
        return
    name = st.segmented_control(
        "Synthetic NG", list(trust.transfers), default=next(iter(trust.transfers)), format_func=words.method,
        key="transfer-method",
    )  # fmt: skip
    name = name or next(iter(trust.transfers))
    found = trust.transfers[name]
    _VERDICTS.get(found.verdict, st.warning)(f"**{words.capital(found.verdict)}.** {found.why}")
    st.dataframe(pd.DataFrame(_transfer_rows(found)), hide_index=True)
    st.plotly_chart(
        charts.transfer_ranks(evidence.synthetic[name], evidence.ng_real, real_names, found.ranks, words.method(name)),
        key="transfer-ranks",
        alt=f"{found.n_outside} of {len(found.ranks)} real NG lie outside the middle 90 % of the synthetic scores",
    )


def _transfer_rows(found: Transfer) -> list[dict[str, str]]:
    percent, gap, rejected, missed = widgets.percent, found.auroc_gap, found.false_rejects, found.escapes
    regret = "too few real NG for an interval"
    if found.regret_interval is not None:
        regret = "95 %: {:.1f} to {:.1f} points".format(*(100 * end for end in found.regret_interval))
    rows = [
        ("Youden threshold on these synthetic NG", f"{found.threshold:.3f}", "feature distance"),
        ("Good parts rejected", f"{rejected.k} of {rejected.n}", f"95 %: up to {percent(rejected.high)}"),
        ("Real NG missed", f"{missed.k} of {missed.n}", f"proves at most {percent(missed.high)} escape at 95 %"),
        ("Recall of synthetic NG - recall of real NG", _points(found.recall_gap.value), _between(found.recall_gap)),
        ("AUROC on synthetic NG - AUROC on real NG", f"{gap.value:+.3f}", f"95 %: {gap.low:+.3f} to {gap.high:+.3f}"),
        ("Regret: balanced error above the best threshold", _points(found.regret.value), regret),
        ("Chance that a synthetic NG scores above a real one", percent(found.synthetic_above), "50 %: equally hard"),
        ("Kolmogorov-Smirnov distance", f"{found.ks_statistic:.2f}", f"p = {found.ks_p:.2g}"),
        (
            "Wasserstein distance",
            "-" if found.wasserstein is None else f"{found.wasserstein:.2f}",
            "in units of the OK scores' interquartile range",
        ),
    ]
    return [{"what": what, "value": seen, "how sure": sure} for what, seen, sure in rows]


def _points(rate: float) -> str:
    return f"{100 * rate:+.1f} points"


def _between(gap: Difference) -> str:
    return f"95 %: {100 * gap.low:+.1f} to {100 * gap.high:+.1f} points"


def _capital(sentence: str) -> str:
    return words.capital(sentence.removesuffix("."))


def reviews(bands: tuple[ReviewBand, ...]) -> None:
    """OK / review / NG from what people can look at, and from costs."""
    st.markdown("Between OK and NG: parts that a person looks at. Two ways to set where review begins.")
    titles = ("From staffing", "From costs")
    for title, band, column in zip(titles, bands, st.columns(2), strict=False):
        with column.container(border=True):
            st.markdown(f"##### {title}")
            if band.review_from is None:
                st.markdown(f"{_capital(band.reason)}.")
                continue
            st.markdown(f"**Review from {band.review_from:.3f}, NG from {band.ng_from:.3f}** (feature distance)")
            for sentence in (band.promise, band.reason):
                if sentence:
                    st.markdown(f"{_capital(sentence)}.")
            seen = [
                f"{bound.k} of {bound.n} {parts} in the band (95 %: up to {widgets.percent(bound.high)})"
                for bound, parts in ((band.in_band_ok, "good parts"), (band.in_band_ng, "synthetic NG"))
                if bound is not None
            ]
            st.caption(" ".join(f"{_capital(sentence)}." for sentence in [*seen, *band.notes]))


def collect(evidence: Evidence, missed: Plan | None, free_ng: int, asked: ThresholdConfig) -> None:
    """What to collect next, both ways: what the parts at hand can claim, and what a claim takes.

    ``missed`` counts the real NG missed, None while they are not in view.
    """
    n_ok, ok_source = len(evidence.ok), words.OK_SOURCES[evidence.ok_source]
    st.markdown("How many more parts does a claim take? Fix the number, then collect: stopping early proves less.")
    left, right = st.columns(2)
    with left:
        fpr = _claim("Claim: at most this share of good parts rejected, %", asked.max_fpr, 0.5, key="claim-fpr")
    with right:
        escape = _claim(
            "Claim: at most this share of defects missed, %", 1 - asked.target_recall, 1.0, key="claim-escape"
        )
    with left.container(border=True):
        found = plan(0, n_ok, rate=fpr / 100, confidence=asked.confidence)
        st.markdown(
            f"##### {n_ok} {ok_source} can promise at best {widgets.percent(found.proven)} rejected "
            f"({100 * asked.confidence:g} %)"
        )
        st.markdown(
            f"A threshold for {fpr:g} % takes {found.needed} OK scores: "
            + (f"{found.more} more." if found.more else "they are there.")
        )
        proven = "exact" if evidence.ok_source == "held-out" else "approximate for leave-one-out scores"
        st.caption(f"Just above the maximum of so many scores; for any distribution of good parts, {proven}.")
    with right.container(border=True):
        k, n = (missed.wrong, missed.n) if missed else (0, 0)
        found = plan(k, n, rate=escape / 100, confidence=asked.confidence)
        st.markdown(f"##### {ng_sentence(found, in_view=missed is not None, free=free_ng)}")
        more = "" if missed is None and free_ng else "more "
        st.markdown(
            f"To claim at most {escape:g} % missed: {found.more} {more}real NG of which none is missed, or "
            f"{found.one_more} {more}of which one is."
            if found.more
            else f"At most {escape:g} % missed is proven."
        )
        st.caption("Real NG that nothing before has used, at a threshold that was fixed before they were looked at.")


def _claim(label: str, asked: float, step: float, *, key: str) -> float:
    """A claimed rate in percent; the settings may ask for any, so the input takes any."""
    start = min(max(round(100 * asked, 6), _LEAST_CLAIM), 100 - _LEAST_CLAIM)
    return st.number_input(label, _LEAST_CLAIM, 100 - _LEAST_CLAIM, start, step, key=key)


def ng_sentence(found: Plan, *, in_view: bool, free: int) -> str:
    """What the real NG prove so far, without giving away those that are kept for verification.

    Examples
    --------
    >>> from calibration.collect import plan
    >>> ng_sentence(plan(0, 2, rate=0.1), in_view=True, free=2)
    '0 of 2 missed: proves at most 77.6 % escape at 95 %'
    """
    if in_view and found.n:
        proven = f"proves at most {widgets.percent(found.proven)} escape at {100 * found.confidence:g} %"
        return f"{found.wrong} of {found.n} missed: {proven}"
    return f"{free} real NG are kept for verification" if free else "0 real NG: nothing is proven about escapes"
