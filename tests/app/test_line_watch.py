"""After release: tables as spreadsheets save them, one look in sentences, looks kept, and the page."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from calibration import drift_power
from calibration.errors import CalibrationError
from ias_core.errors import IasError, IntakeRefused
from pages.services import line_score, watch_log
from pages.services.line_csv import LineScores, read_scores
from pages.services.line_score import Scored
from pages.services.line_watch import look, record_range, release_key
from pages.services.plain import plain
from pages.services.progress import silent
from pages.services.watch_report import (
    CHANGED,
    advice,
    compared,
    headline,
    how_computed,
    mismatch,
    notes,
    reasons,
    report,
)
from pages.services.workspace import Workspace
from pages.ui.charts.drift import look_history, score_run
from tests.app import sample_content
from tests.app.browse import text_of

pytestmark = pytest.mark.usefixtures("fewer_looks")
NOW = "2026-02-01T08:00:00+01:00"
THRESHOLD = sample_content.THRESHOLD


@pytest.fixture
def fewer_looks(monkeypatch):
    """What a look can see is simulated from 30 looks, not from 200: sentences and tables do not need more."""
    monkeypatch.setattr(drift_power, "_LOOKS", 30)
    monkeypatch.setattr(drift_power, "_NULL", 299)


def record(**changed) -> SimpleNamespace:
    content = sample_content.content()
    content["scores"]["reference"] = content["scores"]["reference"][:60]  # looks at fewer parts take less time
    for key, value in changed.items():
        content[key] = content[key] | value if isinstance(value, dict) else value
    return SimpleNamespace(content=content, sha256=sample_content.RECORD_SHA256)


def table(text: str | bytes, name: str = "shift.csv") -> LineScores:
    return read_scores(text.encode() if isinstance(text, str) else text, name)


def of(scores, name: str = "shift.csv") -> LineScores:
    return table("file,score\n" + "".join(f"p{i:03d}.png,{score:.9g}\n" for i, score in enumerate(scores)), name)


def good(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(21, 1.8, n)


CHALLENGE = "file,score\ncrack_00.png,41\ncrack_01.png,38\nok_009.png,21\n"


# --- tables -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"file,score\na.png,20.5\nb.png,21\n",
        b"\xef\xbb\xbfFile;Score\r\na.png;20,5\r\nb.png;21\r\n",  # a German Excel
        "file\tscore\na.png\t20,5\nb.png\t21\n".encode("utf-16"),
        b"sep=;\nfile;score\na.png;20,5\nb.png;21\n",
        b"score,session,file\n20.5,7,a.png\n\n21,8,b.png\n",
        b'file,score,reason\n"a.png",2.05e1,"near, very"\nb.png,21.,\n',
        b"file,score,verdict,reason\na.png,20.5,OK,\nx.png,,unreadable,no picture\nb.png,21,ok,\n",
        b"file,score,at\nb.png,21,2026-01-05T08:01\na.png,20.5,2026-01-05 08:00:59\n",  # in order of time
        b"file;score;at\nb.png;21;05.02.2026 08:01\na.png;20,5;6.1.2026 09:00:59\n",
    ],
)
def test_what_can_be_read_in_one_way_is_read(content):
    found = table(content)
    assert found.files == ("a.png", "b.png") and found.scores.tolist() == [20.5, 21.0]
    assert found.unreadable == content.count(b"unreadable")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"name,score\na,1\n", "columns file and score, got name, score"),
        (b"a.png,20.5\n", "columns file and score, got a.png, 20.5"),
        (b"file,score,score\na,1,2\n", "columns file and score"),
        (b"file,score,at,at\na,1,2,3\n", "expected one column at, got 2"),
        (b"file,score\n", "expected at least one score, got none"),
        (b"file,score,verdict\na,,unreadable\n", "got none; 1 files could not be read"),
        (b"file,score\na,1\nb,high\n", "line 3, score: expected a number, got 'high'"),
        (b"file,score\na,nan\n", "got 'nan'"),
        (b"file,score\na,inf\n", "got 'inf'"),
        (b"file,score\na,1e999\n", "never below 0, nor so large"),
        (b"file,score\na,-1\n", "never below 0"),
        (b"file,score\na,1_0\n", "got '1_0'"),
        ("file,score\na,٣\n".encode(), "got '٣'"),
        (b"file,score\na,\n", "got an empty cell"),
        (b"file,score\na,20,5\n", "line 2: expected 2 cells, got 3; with decimal commas"),
        (b"file,score,verdict\na,20,5\n", "verdict: expected OK, review, NG or unreadable, got '5'"),
        (b'file,score\na,"20,5"\n', "write decimal points"),
        (b"file;score\na;20,5\nb;20.5\n", "line 3, score: expected a number, got '20.5' after numbers with ','"),
        (b"file;score\na;1.020,5\n", "got '1.020,5'"),
        (b"file,score,at\na,1,yesterday\n", "line 2, at: expected a time such as"),
        (b"file;score;at\na;1;31.02.2026 08:00\n", "got '31.02.2026 08:00'"),
        (b"file,score,at\na,1,\n", "line 2, at: expected a time"),
        (b"file,score,at\na,1,2026-01-05T08:00\nb,1,2026-01-05T08:00Z\n", "some times have a time zone"),
        ("file,score\nTür.png,1\n".encode("latin-1"), "is not UTF-8 text"),
        (b"PK\x03\x04\x00\x00", "zero bytes"),
        (b'file,score\n"a,1\n', "line 2: expected 2 cells, got 1"),
        (b"file,score\n" + b"a" * 200_000 + b",1\n", "this is no CSV"),
    ],
)
def test_anything_else_is_one_sentence(content, sentence):
    with pytest.raises(IntakeRefused) as refused:
        table(content)
    assert sentence in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 300


def test_nine_digits_give_the_score_of_the_detector_back():
    """The tie: written with nine digits, a score equal to the threshold must stay at it."""
    score = np.float32(THRESHOLD)
    found = of([score, np.nextafter(score, np.float32(0))]).scores
    assert found[0] == float(score) and found[1] < float(score)


def test_a_hundred_thousand_rows_are_read():
    rows = (f"part_{i:06d}.png;{20 + i % 7},{i % 997};05.01.2026 08:{i // 60 % 60:02d}\n" for i in range(100_000))
    content = ("file;score;at\n" + "".join(rows)).encode()
    found = table(content)
    assert len(found.scores) == len(set(found.files)) == 100_000


def test_what_score_writes_is_what_watch_reads(tmp_path):
    rows = (Scored("a.png", float(np.float32(20.1)), "OK"), Scored("b,ü.png", None, "unreadable", "no, picture"))
    with (tmp_path / "s.csv").open("w", encoding="utf-8", newline="") as file:
        line_score.write_csv(rows, file)
    found = table((tmp_path / "s.csv").read_bytes())
    assert (found.files, found.unreadable, found.scores.tolist()) == (("a.png",), 1, [float(np.float32(20.1))])


# --- one look ---------------------------------------------------------------------------------------------------


def test_nothing_seen_says_what_would_not_be_seen():
    found = look(record(), of(good(80)), now=NOW, challenge=table(CHALLENGE))
    assert found.verdict == "nothing seen" and reasons(found) == () and advice(found) == ()
    assert "Nothing seen in 60 parts: a shift of all scores below" in headline(found)
    assert found.window.tolist() == of(good(80)).scores[-60:].tolist() and found.n_scores == 80
    assert [part.verdict for part in found.challenge] == ["as expected", "as expected", "right side, limits unknown"]
    assert any("Limits unknown for ok_009.png: take 10 shots" in note for note in notes(found))


def test_both_ways_are_drift_and_the_advice_never_raises_the_threshold():
    for shift, word in ((2.5, "higher"), (-2.5, "lower")):
        found = look(record(), of(good(60) + shift), now=NOW)
        assert found.verdict == "alarm" and headline(found) == CHANGED
        assert f"score {word}: median" in reasons(found)[0]
        assert [step.split()[0] for step in advice(found)] == ["Stop", "Find", "Then"]
        assert "raise" not in report(found).replace(CHANGED, "")


def test_more_ng_alarm_by_their_count_and_leave_the_bulk_alone():
    found = look(record(), of(np.concatenate([good(40), np.full(20, 40.0)])), now=NOW)
    (reason,) = reasons(found)
    assert reason.startswith("More parts at or above the threshold: 20 of 60, in the record")
    rows = {row["what"]: row for row in compared(found)}
    assert float(rows["median of the parts below the threshold"]["p"]) > 0.01


def test_a_failed_challenge_part_is_an_alarm_whatever_the_parts_say():
    for shots, sentence in (
        ("crack_00,28\n", "Challenge part crack_00.png is NG and no longer found: 28, threshold 28.16."),
        ("ok_009,30\nok_009,29\nok_009,21\n", "Challenge part ok_009.png is good and now NG: 29 (median of 3 shots)"),
        ("crack_01.png,45\n", "Challenge part crack_01.png is outside its limits: 45, limits 36.4 to 39.4."),
    ):
        found = look(record(), of(good(60)), now=NOW, challenge=table("file,score\n" + shots))
        assert found.verdict == "alarm" and not found.drift.test.alarm and sentence in reasons(found)[0]


def test_too_few_parts_cannot_tell_and_the_number_needed_is_named():
    found = look(record(), of(good(1)), now=NOW)
    assert found.verdict == "cannot tell"
    assert headline(found).endswith(f"It takes {found.drift.needed} parts.") and found.drift.needed > 1
    assert advice(found)[0] == "Show more parts and look again."


def test_shots_at_release_give_limits_where_the_record_has_none():
    shots = "file,score\n" + "".join(f"ok_009/{i}.png,{22 + 0.1 * (i % 3)}\n" for i in range(10))
    judged = [
        look(record(), of(good(5)), now=NOW, challenge=table(f"file,score\nok_009,{now}\n"), repeats=table(shots))
        for now in (22.2, 24)
    ]
    assert [found.challenge[2].verdict for found in judged] == ["as expected", "outside its limits"]
    assert judged[0].challenge[2].part.limits.n == 10 and judged[0].challenge[0].part.limits.n is None


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("other.png,21\n", "named after the record's challenge parts"),
        ("000.png,21\n", "'000.png' is the name of several challenge parts; write ok/ or ng/"),
    ],
)
def test_a_row_of_no_challenge_part_is_refused(rows, sentence):
    twins = [
        {"file": f"{kind}/000.png", "label": kind, "score": 20.0, "low": None, "high": None} for kind in ("ok", "ng")
    ]
    with pytest.raises(IntakeRefused, match=sentence):
        look(record(challenge=twins), of(good(5)), now=NOW, challenge=table("file,score\n" + rows))


def test_names_of_shots_lead_to_their_part():
    twins = [{"file": "000.png", "label": kind, "score": 20.0, "low": None, "high": None} for kind in ("ok", "ng")]
    ump = [{"file": "Tür/Größe.png", "label": "ok", "score": 20.0, "low": None, "high": None}]
    shown = "file,score\nok/000.png,20\nNG\\000.jpg,30\nTu\u0308r/Gro\u0308ße/shot 3.bmp,21\nGRÖSSE.png,22\n"
    found = look(record(challenge=twins + ump), of(good(5)), now=NOW, challenge=table(shown))
    assert [(part.now, part.n) for part in found.challenge] == [(20.0, 1), (30.0, 1), (21.5, 2)]


def test_what_limits_the_answer_is_told():
    loo = record(scores={"reference_source": "leave-one-out"}, challenge=[])
    scores = table("file,score,verdict\na,20,OK\nb,40,OK\nc,20,NG\nd,26,review\ne,,unreadable\n")
    found = look(loo, scores, now=NOW)
    told = " ".join(notes(found))
    assert mismatch(found).startswith("2 of 4 verdicts in the table are not those of the signed threshold 28.16")
    assert mismatch(found) in report(found) and mismatch(look(loo, of(good(3)), now=NOW)) == ""
    assert "1 pictures could not be read" in told and "the drift alarm is approximate" in told
    assert "names no challenge parts" in told
    assert "leave-one-out scores of" in how_computed(found)[0]


def test_a_challenge_part_whose_limits_reach_across_the_threshold_is_told():
    part = {"file": "a.png", "label": "ok", "score": 27.0, "low": 26.0, "high": 29.0}
    assert any(
        "reach across the threshold" in note for note in notes(look(record(challenge=[part]), of(good(5)), now=NOW))
    )


def test_bad_input_is_a_sentence():
    with pytest.raises(IntakeRefused, match="window: expected at least 1 part, got 0"):
        look(record(), of(good(5)), now=NOW, window=0)
    equal = table("file,score\nok_009/1.png,22\nok_009/2.png,22\n")
    with pytest.raises(CalibrationError, match="shots of ok_009.png: expected 2 pictures, got 2 equal scores"):
        look(record(), of(good(5)), now=NOW, repeats=equal)


def test_same_seed_same_look():
    first, second = (plain(look(record(), of(good(20)), now=NOW)) for _ in range(2))
    assert first == second


def test_the_report_for_the_command_line_holds_every_number():
    text = report(look(record(), of(good(60)), now=NOW, challenge=table(CHALLENGE)))
    for part in ("Nothing seen in 60 parts", "newest 60 of 60 scores", "0 of 60, in the record", "crack_00.png (NG)"):
        assert part in text


# --- looks kept -------------------------------------------------------------------------------------------------


def test_looks_are_kept_whole_and_append_only(empty_ws):
    ws, signed = empty_ws, record()
    timed = table("file,score,at\n" + "".join(f"p{i},{21 + i % 5},2026-01-05T08:{i:02d}\n" for i in range(30)))
    found = watch_log.look_and_keep(ws, signed, timed, challenge=table(CHALLENGE), now=NOW, window=20, seed=3)
    assert plain(watch_log.newest(ws, release_key(signed))) == plain(found)
    assert len(found.times) == 20 and found.challenge[0].part.limits is not None
    (past,) = watch_log.history(ws, release_key(signed))
    assert (past.at, past.n, past.verdict, past.rejected) == (NOW, 20, found.verdict, 0.0)
    other = record(threshold={"value": 27.0})
    assert watch_log.newest(ws, release_key(other)) is None and watch_log.history(ws, release_key(other)) == ()
    for statement in (
        "DELETE FROM looks",
        "UPDATE looks SET facts = '{}'",
        "REPLACE INTO looks VALUES (1, '', '', '')",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="looks are append-only"), ws.transaction() as db:
            db.execute(statement)


def test_a_refused_look_is_not_kept(empty_ws):
    signed = record()
    with pytest.raises(IntakeRefused):
        watch_log.look_and_keep(
            empty_ws, signed, of(good(5)), challenge=table("file,score\nx,1\n"), now=NOW, window=None, seed=0
        )
    assert watch_log.newest(empty_ws, release_key(signed)) is None


def test_shots_at_release_are_kept_and_used(empty_ws):
    signed = record()
    shots = table("file,score\n" + "".join(f"ok_009/{i}.png,{22 + 0.1 * (i % 3)}\n" for i in range(10)), "shots.csv")
    assert watch_log.keep_shots(empty_ws, signed, shots, now=NOW) == 3  # two have limits by the record
    kept = watch_log.shots_at_release(empty_ws, release_key(signed))
    assert (kept.files, kept.scores.tolist(), kept.digest) == (shots.files, shots.scores.tolist(), shots.digest)
    found = watch_log.look_and_keep(empty_ws, signed, of(good(5)), challenge=None, now=NOW, window=None, seed=0)
    assert found.challenge[2].part.limits.n == 10


def test_the_job_scores_a_folder_looks_and_keeps(empty_ws, monkeypatch, tmp_path):
    signed = record()
    rows = [Scored(f"{i}.png", float(np.float32(x)), "OK") for i, x in enumerate(good(30))]
    monkeypatch.setattr(watch_log, "read_record", lambda path: signed)
    monkeypatch.setattr(
        line_score,
        "score_folder",
        lambda path, images, progress: (
            (Scored("crack_00.png", 41.0, "NG"),)
            if images.name == "challenge"
            else (*rows, Scored("z.png", None, "unreadable", "no picture"))
        ),
    )
    params = {"record": "record.json", "images": "day", "challenge": "challenge", "window": None, "seed": 0}
    result = watch_log.run_job(empty_ws, json.loads(json.dumps(params)), silent)
    found = watch_log.newest(empty_ws, release_key(signed))
    assert result == {"verdict": found.verdict} and (found.n_scores, found.unreadable, found.source) == (30, 1, "day")
    assert found.challenge[0].now == 41.0
    monkeypatch.setattr(
        line_score, "score_folder", lambda *_, **__: (Scored("z.png", None, "unreadable", "no picture"),)
    )
    with pytest.raises(IasError, match="none of 1 files can be read: no picture"):
        watch_log.run_job(empty_ws, params, silent)


# --- charts and page --------------------------------------------------------------------------------------------


def test_the_charts_say_n_and_mark_alarms():
    scores = np.array([20.0, 27.0, 40.0, THRESHOLD])
    figure = score_run(scores, list("abcd"), THRESHOLD, record=record_range(record()), review_from=25.4)
    assert [trace.name for trace in figure.data] == ["OK by score, n = 1", "review, n = 1", "NG by score, n = 2"]
    assert figure.data[2].y.tolist() == [40.0, THRESHOLD]  # at the threshold is NG
    past = watch_log.PastLook(NOW, "a.csv", "nothing seen", 60, 21.0, 21.0, 0.0, 0.01, 0.5, 0.5, 0)
    looks = [past, replace(past, verdict="alarm", median=None, rejected=1.0)]
    drawn = look_history(looks)
    assert "n = 2" in drawn.layout.title.text and drawn.data[0].name == "nothing seen, 1 of 2 looks"
    alarm = next(trace for trace in drawn.data if trace.name == "alarm, 1 of 2 looks" and trace.yaxis == "y2")
    assert (list(alarm.x), list(alarm.y)) == ([2], [100.0])
    assert score_run(scores, list("abcd"), THRESHOLD, record=None).data[0].name == "OK by score, n = 2"


def page_of(root: str, past: str) -> None:
    """The page part alone, on a made-up record."""
    from pathlib import Path
    from types import SimpleNamespace

    from pages.services.workspace import Workspace
    from pages.ui import watch_view
    from tests.app.test_line_watch import record

    signed = record()
    path = Path(past)
    watch_view.show(
        Workspace(root), SimpleNamespace(content=signed.content, sha256=signed.sha256, path=path, folder=path.parent)
    )


def opened(ws: Workspace, past: str = "/nowhere/record.json") -> AppTest:
    return AppTest.from_function(page_of, args=(str(ws.root), past), default_timeout=60).run()


def upload(page: AppTest, key: str, name: str, content: str) -> None:
    page.get_by_key(key).upload(name, content.encode(), "text/csv")


def test_the_empty_page_teaches_and_a_look_is_shown_first(empty_ws):
    page = opened(empty_ws)
    assert not page.exception and "No look yet" in text_of(page)
    assert page.get_by_key("watch-look").disabled
    rows = "".join(f"p{i}.png,{score:.9g}\n" for i, score in enumerate(good(30) + 4))
    upload(page, "watch-csv", "night.csv", "file,score\n" + rows)
    page.run()
    page.get_by_key("watch-look").click().run()
    assert not page.exception
    assert page.error[0].value.startswith(f"**{CHANGED}**") and "night.csv" in text_of(page)
    again = opened(empty_ws)  # another tab sees it as well
    assert again.error[0].value == page.error[0].value and "Challenge parts" in text_of(again)


def test_a_bad_table_is_a_sentence_and_loses_nothing(empty_ws):
    page = opened(empty_ws)
    upload(page, "watch-csv", "bad.csv", "file,score\na,high\n")
    page.run()
    page.get_by_key("watch-look").click().run()
    assert not page.exception and "bad.csv, line 2, score: expected a number, got 'high'" in page.error[0].value
    assert "No look yet" in text_of(page)


def test_shots_are_kept_on_the_page(empty_ws):
    page = opened(empty_ws)
    upload(page, "watch-shots", "shots.csv", "file,score\nok_009/1.png,22\nok_009/2.png,22.2\n")
    page.run()
    page.get_by_key("watch-keep-shots").click().run()
    assert not page.exception and "from 2 shots in shots.csv" in text_of(page)


def test_pictures_wait_for_the_export(empty_ws):
    page = opened(empty_ws)
    page.get_by_key("watch-source").set_value("folder").run()
    assert not page.exception and "export for the line first" in text_of(page)
