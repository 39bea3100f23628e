"""One table of how fast: ``python -m tests.bench``. Each line is a ratio measured in the same run, on this machine.

Never a test: times depend on what else the machine does, so the load at the start is printed above the table.
"""

import argparse
import contextlib
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import torch

from ias_core.patchcore.coreset import coreset_size, covering_radius, k_center_greedy
from ias_core.patchcore.memory_bank import MemoryBank, Preprocessing, build_bank
from ias_core.patchcore.scoring import Scorer
from ias_core.torchvision_operators import ensure_torchvision
from tests.bench_line import Line, seconds
from tests.bench_one_shot import one_shot_lines
from tests.bench_synthesis import ruler_lines, synthesis_lines

ROOT = Path(__file__).resolve().parents[1]
N_IMAGES, SIZE = 100, 224
CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- features of the demo ---------------------------------------------------------------------------------------------


def demo_features() -> torch.Tensor:
    """(100, 28, 28, 152) patch features of the demo's first good cells."""
    from elpv_dataset.utils import load_dataset

    from ias_core.backbones import load_backbone
    from ias_core.features import PatchFeatures
    from ias_core.imaging import resize_image

    images, probability, kind = load_dataset()
    good = images[(probability == 0) & (kind == "mono")][:N_IMAGES]
    pictures = [resize_image(np.repeat(g[..., None], 3, 2).astype(np.float32) / 255, SIZE) for g in good]
    features = PatchFeatures(load_backbone(), CPU)
    return torch.cat([features(pictures[a : a + 16]) for a in range(0, len(pictures), 16)])


def exact_or_coreset_bank(features: torch.Tensor, ratio: float) -> MemoryBank:
    return build_bank(
        list(features),
        [f"{i:03d}" for i in range(len(features))],
        ratio=ratio,
        preprocessing=Preprocessing("bench", "", (), SIZE),
        generator=generator(),
    )


# --- coreset ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class AnomalibRun:
    """A real run of anomalib's KCenterGreedy: seconds before its first pick, per pick, and its picks."""

    before: float
    per_pick: float
    picks: torch.Tensor
    projected: torch.Tensor


def run_anomalib(flat: torch.Tensor, ratio: float) -> AnomalibRun:
    ensure_torchvision()
    from anomalib.models.components.sampling import KCenterGreedy

    class Timed(KCenterGreedy):
        first_update = 0.0

        def update_distances(self, cluster_center: Any) -> None:
            self.first_update = self.first_update or time.perf_counter()
            super().update_distances(cluster_center)

    torch.manual_seed(0)
    sampler = Timed(flat, ratio)
    start = time.perf_counter()
    with contextlib.redirect_stderr(io.StringIO()), torch.inference_mode():  # its progress bar
        picks = sampler.select_coreset_idxs()
    end = time.perf_counter()
    return AnomalibRun(
        before=sampler.first_update - start,
        per_pick=(end - sampler.first_update) / (len(picks) - 1),
        picks=torch.tensor(picks),
        projected=sampler.features,
    )


def greedy_from(features: torch.Tensor, size: int, start: int) -> torch.Tensor:
    """Our picks from a given start: its row changes places with the one our seed draws."""
    drawn = int(torch.randint(len(features), (1,), generator=generator()))
    order = torch.arange(len(features))
    order[[drawn, start]] = order[[start, drawn]]
    return order[k_center_greedy(features[order], size, generator=generator())]


def coreset_lines(features: Callable[[], torch.Tensor], *, full: bool) -> Iterator[Line]:
    flat = features().reshape(-1, features().shape[-1])
    one_percent = run_anomalib(flat, 0.01)
    for ratio in (0.01, 0.1):
        size = coreset_size(len(flat), ratio)
        ours, picked = seconds(lambda size=size: k_center_greedy(flat, size, generator=generator()))
        if ratio == 0.01 or full:
            run = one_percent if ratio == 0.01 else run_anomalib(flat, ratio)
            theirs, picks, how = run.before + run.per_pick * (size - 1), run.picks, "both run to the end"
            radius_how = "full feature space, both run to the end"
        else:
            theirs = one_percent.before + one_percent.per_pick * (size - 1)
            how = f"anomalib EXTRAPOLATED from {len(one_percent.picks) - 1} real iterations (--full runs all)"
            picks = greedy_from(one_percent.projected, size, int(one_percent.picks[0]))
            same = (picks[: len(one_percent.picks)] == one_percent.picks).long().cumprod(0).sum()
            radius_how = (
                f"anomalib's picks by our greedy on its projection; its real first {len(one_percent.picks)} picks "
                f"agree for {int(same)}"
            )
        yield Line(
            f"coreset {ratio:.0%} of {len(flat):,} patches",
            f"{ours:.2f} s",
            f"{theirs:.1f} s",
            f"{theirs / ours:.0f} x faster",
            ">= 30 x",
            theirs >= 30 * ours,
            how,
        )
        our_radius, their_radius = covering_radius(flat, picked), covering_radius(flat, picks)
        yield Line(
            f"  its covering radius at {ratio:.0%}",
            f"{our_radius:.2f}",
            f"{their_radius:.2f}",
            f"{our_radius / their_radius:.3f}",
            "<= 1",
            our_radius <= their_radius,
            radius_how,
        )


# --- leave-one-out ----------------------------------------------------------------------------------------------------


def leave_one_out_lines(features: Callable[[], torch.Tensor]) -> Iterator[Line]:
    every = features()
    names = [f"{i:03d}" for i in range(len(every))]
    for ratio, repeats in ((0.01, 5), (0.1, 2)):
        build, bank = seconds(lambda ratio=ratio: exact_or_coreset_bank(every, ratio))
        scorer = Scorer(bank, CPU)
        once, _ = seconds(lambda scorer=scorer: scorer(every), repeats=repeats)
        loo, _ = seconds(lambda scorer=scorer: scorer(every, leave_out=names), repeats=repeats)
        yield Line(
            f"leave-one-out of {len(every)}, bank {ratio:.0%}",
            f"{loo:.2f} s",
            f"{once:.2f} s",
            f"{loo / once:.2f} x scoring once",
            "<= 2 x",
            loo <= 2 * once,
            f"features at hand in both; shortest of {repeats}",
        )
        if ratio == 0.01:
            refit, _ = seconds(lambda: Scorer(exact_or_coreset_bank(every[1:], 0.01), CPU)(every[:1]), repeats=2)
            yield Line(
                f"leave-one-out of {len(every)} against refitting",
                f"{build + loo:.1f} s",
                f"{len(every) * refit:.0f} s",
                f"{len(every) * refit / (build + loo):.0f} x faster",
                ">= 30 x",
                len(every) * refit >= 30 * (build + loo),
                f"refitting = {len(every)} x ONE measured refit with our coreset; ours counts building the bank once",
            )
    for n, ratio in ((12, 0.01), (12, 0.1), (40, 0.01)):
        few = every[:n]
        masked = Scorer(exact_or_coreset_bank(few, ratio), CPU)(few, leave_out=names[:n]).image_scores
        refitted = []
        for i in range(n):
            rest = torch.cat([few[:i], few[i + 1 :]])
            refitted.append(Scorer(exact_or_coreset_bank(rest, ratio), CPU)(few[i : i + 1]).image_scores[0])
        off = masked / np.array(refitted) - 1
        yield Line(
            f"leave-one-out of {n} is off a true refit, {ratio:.0%}",
            f"{np.median(masked):.2f}",
            f"{np.median(refitted):.2f}",
            f"median {np.median(off):+.1%}",
            "reported",
            None,
            f"image scores; {off.min():+.1%} to {off.max():+.1%}; above 0 errs towards a higher threshold",
        )


# --- the demo ---------------------------------------------------------------------------------------------------------


def demo_lines() -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, str(ROOT / "cli.py"), "demo", "--out", out]
        total, done = seconds(lambda: subprocess.run(command, cwd=ROOT, capture_output=True, text=True))
        if done.returncode:
            yield Line("demo", "-", "-", "failed", "<= 90 s", False, done.stderr.strip().splitlines()[-1])
            return
        report = json.loads((Path(out) / "calibration.json").read_text(encoding="utf-8"))
    yield Line(
        "demo, from command to thresholds",
        f"{total:.1f} s",
        "90 s",
        f"{total / 90:.2f} of it",
        "<= 1",
        total <= 90,
        f"cli.py demo in a process of its own; status {report['status']}",
    )
    stages = report["detector"]["seconds"]
    rest = total - sum(stages.values())
    for stage, spent in [*stages.items(), ("imports, intake, roles, thresholds, report", rest)]:
        yield Line(f"  {stage}", f"{spent:.1f} s", f"{total:.1f} s", f"{spent / total:.0%} of all", "", None, "")


# --- the slider -------------------------------------------------------------------------------------------------------


def slider_lines() -> Iterator[Line]:
    from calibration.counts import counts_at
    from calibration.curves import auroc, roc_band
    from pages.ui.charts import ScoreGroup, roc, score_distribution

    rng = np.random.default_rng(0)
    scores = {
        ("ok", "OK"): rng.normal(20, 3, 3000),
        ("synthetic", "own texture"): rng.normal(30, 6, 500),
        ("synthetic", "foreign texture"): rng.normal(34, 6, 500),
        ("real", "real NG"): rng.normal(32, 7, 1000),
    }
    ok = scores["ok", "OK"]
    groups = [
        ScoreGroup(key, label, values, tuple(f"{label} {i}.png" for i in range(len(values))))
        for (key, label), values in scores.items()
    ]
    bands = [  # computed once per detector, not per move
        (key, label, roc_band(ok, values), auroc(ok, values)) for (key, label), values in scores.items() if key != "ok"
    ]

    def move(threshold: float) -> int:
        rejected = counts_at(ok, threshold)
        operating = [(g.key, g.label, rejected, counts_at(g.scores, threshold)) for g in groups if g.key != "ok"]
        figures = score_distribution(groups, threshold, 27.0), roc(bands, operating)
        return sum(len(figure.to_json()) for figure in figures)

    move(25.0)  # plotly builds its validators on first use
    took = []
    for threshold in np.linspace(15, 40, 40):
        spent, size = seconds(lambda threshold=threshold: move(threshold))
        took.append(1000 * spent)
    yield Line(
        f"slider, {sum(map(len, scores.values())):,} scores",
        f"{statistics.median(took):.0f} ms",
        "100 ms",
        f"{statistics.median(took) / 100:.2f} of it",
        "<= 1",
        statistics.median(took) <= 100,
        f"counts, both figures, their JSON ({size / 1000:.0f} kB); median of 40 moves, worst {max(took):.0f} ms",
    )


# --- calibration ------------------------------------------------------------------------------------------------------


def calibration_lines() -> Iterator[Line]:
    from sklearn.metrics import roc_curve

    from calibration.curves import auroc, roc_band
    from calibration.policy import all_choices, recommend
    from calibration.resampling import bootstrap_band
    from calibration.simultaneous import local_level

    rng = np.random.default_rng(0)
    held_out, loo, ng = rng.gamma(30, 1 / 6, 2000), rng.gamma(30, 1 / 6, 2000), rng.gamma(30, 1 / 6, 1000) + 2
    scipy_loaded = all_choices(ok_held_out=held_out[:100], ok_loo=loo[:100], synthetic=ng[:50], rng=rng)
    assert len(scipy_loaded) == 15

    def rules() -> int:
        local_level.cache_clear()
        rows = all_choices(ok_held_out=held_out, ok_loo=loo, synthetic=ng, rng=np.random.default_rng(0))
        recommend(rows, synthetic_auroc=auroc(held_out, ng))
        roc_band(held_out, ng)
        return sum(row.value is not None for row in rows)

    def band() -> None:
        bootstrap_band(held_out, ng, rng=np.random.default_rng(0), draws=1000)

    def plain() -> None:
        labels = np.r_[np.zeros(held_out.size), np.ones(ng.size)]
        for _ in range(50):
            drawn = np.r_[rng.choice(held_out, held_out.size), rng.choice(ng, ng.size)]
            fpr, recall, _ = roc_curve(labels, drawn, drop_intermediate=False)
            np.interp(np.linspace(0, 1, 201), fpr, recall)

    (of_rules, given), (of_band, _), (of_plain, _) = seconds(rules, repeats=3), seconds(band, repeats=3), seconds(plain)
    total = of_rules + of_band
    yield Line(
        "every rule, every bound, 1,000 bootstrap draws, 5,000 scores",
        f"{total:.2f} s",
        "2 s",
        f"{total / 2:.2f} of it",
        "<= 1",
        total <= 2,
        f"rules and bounds {of_rules:.2f} s ({given} of 15 give one), bootstrap band {of_band:.2f} s; best of 3",
    )
    yield Line(
        "  bootstrap band of the ROC, 1,000 draws",
        f"{of_band:.2f} s",
        f"{20 * of_plain:.2f} s",
        f"{20 * of_plain / of_band:.0f} x faster",
        "reported",
        None,
        "against scikit-learn's roc_curve in a loop: 50 draws measured, times 20",
    )


# --- the first page ---------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_up(port: int, server: subprocess.Popen) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with code {server.returncode}")
        with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise TimeoutError("the server did not come up within 60 s")


def first_script_run(port: int) -> tuple[float, int]:
    """Do what a browser does first: the page, the stream, one run. Seconds until its last element, and elements."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.sync.client import connect

    start = time.perf_counter()
    urlopen(f"http://127.0.0.1:{port}/", timeout=30).read()
    ask = BackMsg()
    ask.rerun_script.query_string = ""
    elements = 0
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    with connect(address, subprotocols=["streamlit"], origin=f"http://127.0.0.1:{port}", max_size=None) as stream:
        stream.send(ask.SerializeToString())
        while True:
            message = ForwardMsg()
            message.ParseFromString(stream.recv(timeout=60))
            elements += message.WhichOneof("type") == "delta"
            if message.WhichOneof("type") == "script_finished":
                if message.script_finished != ForwardMsg.ScriptFinishedStatus.FINISHED_SUCCESSFULLY:
                    raise RuntimeError(f"the page ended with status {message.script_finished}")
                return time.perf_counter() - start, elements


def first_page_lines() -> Iterator[Line]:
    ours = "streamlit, pages.ui.frame, pages.ui.widgets, pages.services.intake"  # what pages/data.py imports
    spent = [
        float(
            run_python(f"import time; start = time.perf_counter(); import {names}; print(time.perf_counter() - start)")
        )
        for names in (ours, "streamlit")
    ]
    heavy = run_python(
        f"import sys, {ours}\n"
        "print(*[m for m in ('torch', 'timm', 'anomalib', 'diffusers', 'torchvision') if m in sys.modules])"
    )
    yield Line(
        "imports of the first page",
        f"{spent[0]:.2f} s",
        f"{spent[1]:.2f} s",
        f"{spent[0] / spent[1]:.1f} x streamlit alone",
        "no torch",
        not heavy,
        f"fresh interpreter; heavy packages among them: {heavy or 'none'}",
    )
    port = free_port()
    with tempfile.TemporaryDirectory() as workspace:
        command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.headless=true"]
        server = subprocess.Popen(
            [*command, f"--server.port={port}"],
            cwd=ROOT,
            env=os.environ | {"IAS_WORKSPACE": workspace},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_up(port, server)
            first, elements = first_script_run(port)
            second, _ = first_script_run(port)
        finally:
            server.terminate()
            server.wait(30)
    yield Line(
        "first page after the server is up",
        f"{first:.2f} s",
        "3 s",
        f"{first / 3:.2f} of it",
        "<= 1",
        first <= 3,
        f"page, websocket, whole first script run ({elements} elements); drawing not counted; second {second:.2f} s",
    )


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return done.stdout.strip()


# --- the table --------------------------------------------------------------------------------------------------------

HEADS = ("what", "ours", "against", "ratio", "target", "met", "how")
MARKS = {True: "yes", False: "NO", None: ""}


def print_table(lines: list[Line]) -> None:
    rows = [HEADS, *((n.what, n.ours, n.other, n.ratio, n.target, MARKS[n.met], n.how) for n in lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
    for place, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if place == 0:
            print("  ".join("-" * width for width in widths))


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 if a target was missed."""
    kept: list[torch.Tensor] = []

    def features() -> torch.Tensor:
        if not kept:
            kept.append(demo_features())
        return kept[0]

    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="run anomalib's 10 %% coreset to the end: over 10 minutes")
    parts: dict[str, Callable[[], Iterator[Line]]] = {
        "calibration": calibration_lines,
        "slider": slider_lines,
        "first-page": first_page_lines,
        "demo": demo_lines,
        "coreset": lambda: coreset_lines(features, full=asked.full),
        "synthesis": synthesis_lines,
        "one-shot": one_shot_lines,
        "feature-space": lambda: ruler_lines(features),
        "leave-one-out": lambda: leave_one_out_lines(features),
    }
    parser.add_argument("--only", nargs="+", choices=list(parts))
    asked = parser.parse_args(arguments)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{os.cpu_count()} cores, torch with {torch.get_num_threads()} threads{load} at the start\n", flush=True)
    lines: list[Line] = []
    for name in asked.only or parts:
        print(f"measuring: {name} ...", file=sys.stderr, flush=True)
        lines += parts[name]()
    print_table(lines)
    return 1 if any(line.met is False for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
