"""The same services without a browser; one subcommand per use case, no logic of its own.

python cli.py app                      install what is missing, open the app in the browser
python cli.py demo --out DIR           the whole job on the demo pictures
python cli.py run --ok DIR --out DIR   the whole job on your own pictures
python cli.py study --demo --out DIR   what each threshold rule is worth on real parts, over many splits
python cli.py synth --method all --ok DIR --out DIR   synthetic NG with masks, as a data set
python cli.py demo --sign --out DIR    the demo to a complete record: record.json, HTML, PDF, files for the line
python cli.py verify RECORD            does a record fit, with everything handed over and every picture
python cli.py score --record FILE --images DIR   OK, review or NG for each picture
python cli.py watch --record FILE --scores CSV   is the line still as it was signed
"""

import argparse
import subprocess
import sys
import traceback
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong use: one line, exit code 1."""
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(1)


def parser() -> argparse.ArgumentParser:
    top = _Parser(prog="cli.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True)

    app = commands.add_parser("app", help="install what is missing and open the app in the browser")
    app.add_argument("--port", type=int, default=8501)
    app.add_argument("--workspace", type=Path, help="folder that keeps data and results (default: per user)")
    app.add_argument("--no-browser", action="store_true", help="only serve")

    run = commands.add_parser("run", help="good parts to thresholds; writes calibration.json")
    source = run.add_mutually_exclusive_group(required=True)
    source.add_argument("--ok", type=Path, help="folder of good parts")
    source.add_argument("--data", type=Path, help="MVTec-style tree: train/good, test/<kind>, ground_truth/<kind>")
    source.add_argument("--zip", type=Path, help="zip of such a tree")
    run.add_argument("--ng", type=Path, help="folder of real defective parts, only with --ok; subfolders are kinds")
    run.add_argument("--sessions", type=Path, help="CSV or TSV, columns file and session: which shift, lot or day")
    run.add_argument("--config", type=Path, help="settings as .json or .toml")

    demo = commands.add_parser("demo", help="the same on the demo pictures (package elpv-dataset)")
    demo.add_argument("--config", type=Path, help="settings as .json or .toml")
    demo.add_argument("--sign", action="store_true", help="go on to a signed record, by three made-up people")

    verify = commands.add_parser("verify", help="check a record offline: exit code 0 only if everything fits")
    verify.add_argument("record", type=Path, help="record.json, or the folder it was handed over in")
    verify.add_argument("--images", type=Path, help="a copy of the pictures (default: where they lay when signed)")
    verify.add_argument("--record-only", action="store_true", help="leave out the pictures, where they are not at hand")
    score = commands.add_parser("score", help="OK, review or NG for each picture of a folder, by a signed record")
    score.add_argument("--images", type=Path, required=True, help="folder of pictures")
    score.add_argument("--out", type=Path, help="CSV (default: the terminal)")
    watch = commands.add_parser("watch", help="the line's new scores against a signed record: drift, challenge parts")
    source = watch.add_mutually_exclusive_group(required=True)
    source.add_argument("--scores", type=Path, help="CSV with the columns file and score, as score writes it")
    source.add_argument("--images", type=Path, help="folder of pictures, scored first")
    watch.add_argument("--challenge", type=Path, help="CSV with the scores of the challenge parts of this shift")
    watch.add_argument("--repeats", type=Path, help="CSV with several shots of each challenge part, from the release")
    watch.add_argument(
        "--window", type=int, help="newest parts to test (default: as many as the record has good)"
    )
    for command in (score, watch):
        command.add_argument("--record", type=Path, required=True, help="record.json beside the folder line")

    study = commands.add_parser("study", help="every threshold rule over many splits of real parts; writes study.json")
    source = study.add_mutually_exclusive_group(required=True)
    source.add_argument("--demo", action="store_true", help="the demo pictures (package elpv-dataset)")
    source.add_argument("--ok", type=Path, help="folder of good parts; real NG come with --ng")
    source.add_argument("--data", type=Path, help="MVTec-style tree")
    study.add_argument("--ng", type=Path, help="folder of real defective parts, only with --ok")
    study.add_argument("--by", choices=("rule", "method"), default="rule", help="what is compared (default rule)")
    study.add_argument("--banks", type=int, default=3, help="memory banks, each on other good parts (default 3)")
    study.add_argument("--splits", type=int, default=200, help="splits per memory bank (default 200)")
    study.add_argument("--config", type=Path, help="settings as .json or .toml")
    synth = commands.add_parser("synth", help="good parts to synthetic NG with masks; writes manifest.json")
    source = synth.add_mutually_exclusive_group(required=True)
    source.add_argument("--ok", type=Path, help="folder of good parts")
    source.add_argument("--demo", action="store_true", help="the good demo pictures (package elpv-dataset)")
    synth.add_argument("--method", nargs="+", required=True, metavar="NAME", help="names of methods, or all")
    synth.add_argument("--n", type=int, default=20, help="pictures per method (default 20)")
    synth.add_argument("--size", type=int, default=256, help="side of the pictures in px (default 256)")
    synth.add_argument("--severity", type=float, help="0 (invisible) to 1, for all methods (default: as published)")
    synth.add_argument("--defect-px", type=float, help="equivalent diameter of the defects (default: as published)")
    synth.add_argument("--ng", type=Path, help="picture of one real NG, for methods that start from it")
    synth.add_argument("--mask", type=Path, help="where its defect is (default: proposed from an anomaly map)")
    synth.add_argument(
        "--place", choices=("part", "near"), default="part", help="near: where the real NG has it (default part)"
    )
    synth.add_argument(
        "--turn", choices=("any", "quarter", "none"), default="any", help="how its defect may be turned (default any)"
    )
    synth.add_argument(
        "--softness",
        type=float,
        default=0.0,
        help="grey levels of noise a pixel model redraws it from (default 0)",
    )
    synth.add_argument("--train-minutes", type=float, default=5.0, help="for the pixel model, if needed (default 5)")
    synth.add_argument("--textures", type=Path, help="folder of foreign textures (default: made here)")
    synth.add_argument(
        "--foreground",
        choices=("none", "found"),
        help="found: keep defects on the part (default: found with --ng, else none)",
    )
    for command in (run, demo, study, synth):
        command.add_argument("--seed", type=int, help="decides split, coreset start and synthesis (default 0)")
        command.add_argument("--out", type=Path, required=True, help="folder for the results and the workspace")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 with one line on stderr for wrong use and bad data; never a traceback."""
    asked = parser().parse_args(arguments)
    if asked.command in ("run", "study") and asked.ng is not None and asked.ok is None:
        print(
            f"cli.py {asked.command}: --ng goes with --ok; a tree or zip brings its own test/<kind> folders",
            file=sys.stderr,
        )
        return 1
    log = None
    try:
        if asked.command in _WITHOUT_WORKSPACE:
            return _WITHOUT_WORKSPACE[asked.command](asked)
        log = asked.out / "error.log"
        return {"study": run_study, "synth": run_synth}.get(asked.command, run_job)(asked)
    except KeyboardInterrupt:
        print("cli.py: cancelled", file=sys.stderr)
    except OSError as error:
        print(f"cli.py: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
    except Exception as error:
        from calibration.errors import CalibrationError
        from ias_core.errors import IasError

        if isinstance(error, (IasError, CalibrationError)):
            print_rejected(getattr(error, "rejected", ()))
            print(f"cli.py: {' '.join(str(error).split())}", file=sys.stderr)
        else:
            place = _keep_traceback(error, log)
            print(f"cli.py: unexpected error ({type(error).__name__}){place}", file=sys.stderr)
    return 1


def _keep_traceback(error: Exception, log: Path | None) -> str:
    if log is not None:
        with suppress(OSError), log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
            return f"; details in {log}"
    return f": {' '.join(str(error).split())}"


def print_rejected(rejected) -> None:
    for refused in rejected:
        print(f"  refused: {refused.name}: {refused.reason}")


def _now() -> str:
    from datetime import datetime

    return datetime.now().astimezone().isoformat(timespec="seconds")


def open_app(asked: argparse.Namespace) -> int:
    """Install pinned requirements that are missing, then serve the app until it is stopped."""
    import os

    missing = missing_requirements()
    if missing:
        print(f"installing {len(missing)} packages into {sys.prefix} ...", flush=True)
        code = subprocess.call([sys.executable, "-m", "pip", "install", "-r", str(ROOT / "requirements.txt")])
        if code:
            print("cli.py app: pip could not install requirements.txt; its message is above", file=sys.stderr)
            return 1
    environment = dict(os.environ)
    if asked.workspace is not None:
        environment["IAS_WORKSPACE"] = str(asked.workspace.absolute())
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), f"--server.port={asked.port}"]
    if asked.no_browser:
        command.append("--server.headless=true")
    try:
        return subprocess.call(command, cwd=ROOT, env=environment)
    except KeyboardInterrupt:
        return 0


def missing_requirements() -> list[str]:
    """Pinned requirements that are not installed in this environment, or in another version."""
    missing = []
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        requirement = line.partition("#")[0].strip()
        name, _, version = requirement.partition("==")
        if not requirement:
            continue
        try:
            installed = metadata.version(name).partition("+")[0]  # 2.13.0+cpu is 2.13.0
        except metadata.PackageNotFoundError:
            installed = None
        if installed != version:
            missing.append(requirement)
    return missing


def run_job(asked: argparse.Namespace) -> int:
    """Pictures to calibration.json, with a summary on stdout."""
    from pages.services import demo, intake, pipeline, report, sessions, settings, steps, verification
    from pages.services.workspace import Workspace

    config = _prepared(asked)
    ws = Workspace(asked.out / "workspace")
    if asked.command == "demo":
        data = demo.import_demo(ws)
    elif asked.data:
        data = intake.import_tree(ws, asked.data, sessions_table=asked.sessions)
    elif asked.zip:
        data = intake.import_zip(ws, asked.zip, sessions_table=asked.sessions)
    else:
        data = intake.import_folders(ws, asked.ok, asked.ng, sessions_table=asked.sessions)
    n_ng = sum(record.label == "ng" for record in data.accepted)
    print(f"taken in: {len(data.accepted) - n_ng} OK and {n_ng} real NG pictures; {len(data.rejected)} files refused")
    print_rejected(data.rejected)
    for notice in data.notices:
        print(f"  note: {notice}")
    print(sessions.found_sentence([record for record in data.accepted if record.label == "ok"], data.sessions_from))
    steps.save_config(ws, config)  # the app opens this workspace with the settings it was made with
    intake.assign_roles(ws, seed=config.seed)
    results = pipeline.run_steps(ws, config, _print_stage())
    written = report.calibration_report_of(ws, config, *results)
    basis = verification.basis_of(results[0].meta["bank_id"], settings.to_dict(config.thresholds))
    verification.note_seen(ws, verification.free_ng(ws), basis=basis)  # their scores are printed
    path = asked.out / "calibration.json"
    report.write_report(written, path)
    print(report.summary(written))
    print(f"written: {path}")
    if getattr(asked, "sign", False):
        from pages.services import demo_sign, trust

        judgement = trust.judge(ws, *results, config, verification.free_ng(ws))
        record = demo_sign.sign_demo(ws, asked.out, *results, config, judgement, _print_stage(), now=_now())
        print(f"signed: {asked.out / 'record.json'}, with record.html, record.pdf and line; record hash {record}")
    return 0


def run_verify(asked: argparse.Namespace) -> int:
    """What fits, a line each, and the first thing that does not; exit code 0 only if everything fits."""
    from pages.services.verify_record import verify_record

    found = verify_record(asked.record, images=asked.images, record_only=asked.record_only)
    for line in found.fits:
        print(f"fits: {line}")
    if found.wrong:
        print(f"DOES NOT FIT: {found.wrong}", file=sys.stderr)
    return int(bool(found.wrong))


def run_score(asked: argparse.Namespace) -> int:
    """A verdict for each picture as CSV, to a file or to stdout; counts and what could not be read on stderr."""
    from pages.services.line_score import UNREADABLE, score_folder, write_csv

    rows = score_folder(asked.record, asked.images)
    if asked.out is None:
        write_csv(rows, sys.stdout)
    else:
        with asked.out.open("w", encoding="utf-8", newline="") as file:
            write_csv(rows, file)
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("OK", "review", "NG", UNREADABLE)}
    told = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    print(f"{len(rows)} files: {told}", file=sys.stderr)
    return 0


def run_watch(asked: argparse.Namespace) -> int:
    """Drift and challenge parts; exit code 0 whatever they say: an alarm is a result."""
    from pages.services.line_csv import load_scores
    from pages.services.line_watch import look
    from pages.services.progress import silent
    from pages.services.record_file import read_record
    from pages.services.watch_log import scores_of_folder
    from pages.services.watch_report import report

    record = read_record(asked.record)
    scores = load_scores(asked.scores) if asked.scores else scores_of_folder(asked.record, asked.images, silent)
    challenge = load_scores(asked.challenge) if asked.challenge else None
    repeats = load_scores(asked.repeats) if asked.repeats else None
    print(report(look(record, scores, now=_now(), challenge=challenge, repeats=repeats, window=asked.window)))
    return 0


def run_study(asked: argparse.Namespace) -> int:
    """Every rule, or every synthesis method, over many splits of real parts: a table on stdout, JSON and a picture."""
    from pages.services import demo, intake, method_study, study

    config = _prepared(asked)

    def take_in(ws) -> None:
        if asked.demo:
            demo.import_demo(ws)
        elif asked.data:
            intake.import_tree(ws, asked.data)
        else:
            intake.import_folders(ws, asked.ok, asked.ng)

    how = {"banks": asked.banks, "splits": asked.splits, "progress": _print_stage()}
    if asked.by == "method":
        found = method_study.run_method_study(asked.out, take_in, config, **how)
        text, written = method_study.table(found), method_study.write(found, asked.out)
    else:
        found = study.run_study(asked.out, take_in, config, **how)
        text, written = study.table(found), study.write_study(found, asked.out)
    print(text)
    print(f"written: {', '.join(map(str, written))}")
    return 0


def run_synth(asked: argparse.Namespace) -> int:
    """Good parts to pictures, masks, contact sheets and manifest.json."""
    from ias_core.errors import IasError
    from ias_core.folders import OK, scan_folder
    from pages.services import demo, synth
    from pages.services.settings import OneShotConfig
    from pages.services.synth_ng import FromNg

    config = _prepared(asked)
    good = [f for f in demo.found_files() if f.label == OK] if asked.demo else scan_folder(asked.ok, label=OK)
    if asked.mask is not None and asked.ng is None:
        raise IasError("--mask goes with --ng: it says where the defect of that NG is")
    if not 0 < asked.train_minutes <= 600:
        raise IasError(f"expected --train-minutes above 0 and up to 600, got {asked.train_minutes}")
    ng = None
    if asked.ng is not None:
        options = OneShotConfig(
            softness=asked.softness, place=asked.place, turn=asked.turn, model="to be trained" if asked.softness else ""
        )
        ng = FromNg(asked.ng, asked.mask, options)
    dials = {
        name: value for name, value in (("severity", asked.severity), ("size_px", asked.defect_px)) if value is not None
    }
    found = synth.make_dataset(
        good,
        asked.out,
        methods=asked.method,
        count=asked.n,
        seed=config.seed,
        size=asked.size,
        dials=dials,
        textures=asked.textures,
        foreground=asked.foreground or ("found" if ng else "none"),
        progress=_print_stage(),
        ng=ng,
        minutes=asked.train_minutes,
    )
    for name, reason in found.refused.items():
        print(f"  refused: {name}: {reason}")
    for name, n in found.made.items():
        print(f"  {name}: {n} pictures")
    for name, reason in found.failed.items():
        print(f"  {name}: none made: {reason}")
    print(f"made from {found.n_parents} good parts; written: {found.manifest}")
    return 0


def _prepared(asked: argparse.Namespace):
    """The settings asked for; ``--out`` is a folder, and not among the pictures."""
    from dataclasses import replace

    from ias_core.errors import IasError
    from pages.services import intake
    from pages.services.settings import RunConfig, read_config

    config = read_config(asked.config) if getattr(asked, "config", None) else RunConfig()
    if asked.seed is not None:
        config = replace(config, seed=asked.seed)
    sources = [path for name in ("ok", "ng", "data") if (path := getattr(asked, name, None)) is not None]
    intake.refuse_around(asked.out, *sources)
    try:
        asked.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IasError(f"--out {asked.out} cannot be made a folder ({error.strerror})") from error
    return config


def _print_stage():
    """A progress callback that prints each stage once."""
    seen: list[str] = []

    def show(stage: str, done: int, total: int, message: str = "") -> None:
        if message and message not in seen:
            seen.append(message)
            print(f"{message} ...", flush=True)

    return show


_WITHOUT_WORKSPACE = {"app": open_app, "verify": run_verify, "score": run_score, "watch": run_watch}

if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # a file name that the console's code page cannot show
    sys.exit(main())
