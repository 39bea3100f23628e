"""Settings: what a file may say, and that a wrong word stops with a sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import CalibrationError
from ias_core.errors import IasError
from pages.services.settings import DEVICES, DetectorConfig, RunConfig, SynthesisConfig, from_dict, read_config, to_dict


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sede": 1}, "unknown setting 'sede'"),
        ({"detector": {"backbon": "x"}}, "unknown setting 'backbon'; DetectorConfig has backbone"),
        ({"thresholds": {"fpr": 0.1}}, "unknown setting 'fpr'"),
        ({"seed": "1"}, "setting seed: expected int"),
        ({"seed": True}, "setting seed: expected int"),
        ({"seed": 1.0}, "setting seed: expected int"),
        ({"seed": -1}, "setting seed: expected in 0.."),
        ({"detector": {"input_size": 100}}, "a multiple of 32"),
        ({"detector": {"coreset_ratio": 0}}, "coreset_ratio"),
        ({"detector": {"coreset_ratio": True}}, "coreset_ratio"),
        ({"detector": {"num_neighbors": 0}}, "num_neighbors"),
        ({"detector": {"layers": "blocks.2"}}, "setting layers: expected tuple"),
        ({"detector": {"layers": [1]}}, "setting layers: expected tuple"),
        ({"detector": {"device": "gpu"}}, "setting device"),
        ({"detector": "wide_resnet50_2"}, "expected settings as names and values for DetectorConfig, got str"),
        ({"synthesis": {"count": 0}}, "setting count"),
        ({"synthesis": {"primary": "other"}}, "setting primary"),
        ({"synthesis": {"methods": []}}, "setting primary"),
        ({"synthesis": {"graded": "glass-las-own"}}, "setting graded: expected none of methods"),
        ({"synthesis": {"graded_count": 0}}, "setting graded_count"),
        ({"synthesis": {"graded_count": 501}}, "setting graded_count"),
        ({"synthesis": {"primary": "mixture"}}, "setting primary"),
        ({"synthesis": {"methods": ["mixture"], "primary": "mixture"}}, "told by its shares"),
        ({"synthesis": {"mixture": {"cutpaste": 0}}}, "shares above 0"),
        ({"synthesis": {"mixture": {"cutpaste": "half"}}}, "setting mixture cutpaste: expected float"),
        ({"synthesis": {"mixture": ["cutpaste"]}}, "setting mixture: expected dict"),
        ({"synthesis": {"severity": {"cutpaste": 1.5}}}, "setting severity: expected values in [0, 1]"),
        ({"synthesis": {"size_px": {"cutpaste": -1}}}, "setting size_px: expected values above 0"),
        ([], "got list"),
    ],
)
def test_wrong_settings_stop_with_a_sentence(values, words):
    with pytest.raises(IasError) as refused:
        from_dict(RunConfig, values)
    assert words in str(refused.value)


def test_devices_are_those_of_the_core():
    from ias_core import devices

    assert set(DEVICES) == set(devices.DEVICES)


def test_wrong_rate_stops():
    with pytest.raises((IasError, CalibrationError), match="max_fpr"):
        from_dict(RunConfig, {"thresholds": {"max_fpr": 5}})


def test_toml_and_json_say_the_same(tmp_path):
    (tmp_path / "a.toml").write_text(
        'seed = 7\n[detector]\ninput_size = 256\ncoreset_ratio = 1\nlayers = ["blocks.1", "blocks.3"]\n'
        "[synthesis]\ncount = 25\n[thresholds]\nmax_fpr = 0.02\n",
        encoding="utf-8",
    )
    (tmp_path / "a.json").write_text(json.dumps(to_dict(read_config(tmp_path / "a.toml"))), encoding="utf-8")
    config = read_config(tmp_path / "a.toml")
    assert config == read_config(tmp_path / "a.json")
    assert (config.seed, config.detector.layers, config.detector.coreset_ratio) == (7, ("blocks.1", "blocks.3"), 1.0)
    assert (config.synthesis.count, config.thresholds.max_fpr) == (25, 0.02)
    assert config.synthesis.methods == SynthesisConfig().methods


def test_an_empty_file_is_the_defaults(tmp_path):
    (tmp_path / "a.toml").write_text("", encoding="utf-8")
    assert read_config(tmp_path / "a.toml") == RunConfig()


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.json", b"{"), ("a.toml", b"seed 7"), ("a.toml", b"\xff\xfe"), ("a.txt", b"seed = 7"), ("missing.toml", None)],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(IasError, match=name):
        read_config(tmp_path / name)


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 32).map(lambda k: 32 * k),
    ratio=st.floats(0, 1, exclude_min=True),
    neighbours=st.integers(1, 50),
    count=st.integers(1, 500),
    graded=st.sampled_from(["", "graded-spot"]),
)
def test_round_trip(seed, size, ratio, neighbours, count, graded):
    config = RunConfig(
        seed=seed,
        detector=DetectorConfig(input_size=size, coreset_ratio=ratio, num_neighbors=neighbours),
        synthesis=SynthesisConfig(count=count, graded=graded, graded_count=count),
    )
    assert from_dict(RunConfig, json.loads(json.dumps(to_dict(config)))) == config
