"""A sign-off is void, visibly, as soon as anything under it changes; and only then."""

from dataclasses import replace

import pytest

from ias_core.errors import IasError
from pages.services import chain, code_version, inputs, seal
from pages.services.artifacts import DETECTOR, SYNTHESIS, load_result
from pages.services.intake import add_verification_ng
from pages.services.ledger import Ledger
from pages.services.product import Product, save_product
from pages.services.records import entries_of, newest
from pages.services.seal import broken
from pages.services.steps import load_config, save_config, steps
from pages.services.verification import verify
from tests import hostile
from tests.app import small_run
from tests.app.conftest import NOW
from tests.app.signing import release_now, sign_all


@pytest.fixture
def approved(ws, fix):
    decision, _ = fix()
    verify(ws, load_result(ws, DETECTOR), decision)
    sign_all(ws, now=NOW)
    assert told(ws) == []
    assert steps(ws)["sign_off"].state == "done"
    return ws


def told(ws) -> list[str]:
    return broken(ws, newest(entries_of(ws)), load_config(ws))


def test_the_content_is_the_same_each_time_and_holds_no_secret_of_this_machine(approved):
    content = newest(entries_of(approved)).content
    assert release_now(approved).content == content
    assert str(approved.root) not in chain.canonical(content)
    assert content["counts"]["real"]["n"] == len(content["scores"]["real"]) == small_run.N_NG
    assert {one["sha256"] for one in content["inputs"]["images"]} == {r.sha256 for r in Ledger(approved).records()}
    wrong = [*content["missed"], *content["false_rejects"]]
    assert wrong and set(content["thumbnails"]) == {one["sha256"] for one in wrong[:6]}


def test_before_the_check_no_score_of_real_ng_is_shown(ws, fix):
    fix()
    content = release_now(ws).content
    assert content["counts"]["real"] is None and content["scores"]["real"] == content["missed"] == []
    assert content["verification"]["status"] == "provisional" and content["evidence_class"]["key"] == "T1"


def test_naming_the_product_is_another_content_and_voids_nothing(approved):
    save_product(approved, Product(part="plate", expires="2027-01-31"))
    assert told(approved) == []
    assert release_now(approved).key != newest(entries_of(approved)).key
    with pytest.raises(IasError, match="a date like"):
        save_product(approved, Product(expires="soon"))


def change_a_picture(ws, monkeypatch):
    folder = load_result(ws, SYNTHESIS).folder
    picture = next(folder.glob("*.png"))
    picture.write_bytes(picture.read_bytes()[:-1] + b"\0")
    return f"synthetic NG {picture.name} was changed"


def lose_the_bank(ws, monkeypatch):
    load_result(ws, DETECTOR).bank_path.unlink()
    return "the memory bank was changed or removed"


def change_the_weights(ws, monkeypatch):
    for name, found in (("stat_of", None), ("file_sha256", "x")):
        true = getattr(seal.frozen_pictures, name)
        monkeypatch.setattr(
            seal.frozen_pictures, name, lambda path, true=true, found=found: found if is_weights(path) else true(path)
        )
    return "the weights file of the backbone was changed"


def is_weights(path) -> bool:
    return str(path).endswith(".pth")


def change_a_setting(ws, monkeypatch):
    config = load_config(ws)
    save_config(ws, replace(config, thresholds=replace(config.thresholds, max_fpr=0.04)))
    return "settings changed: thresholds.max_fpr"


def change_the_software(ws, monkeypatch):
    monkeypatch.setattr(seal, "code_version", lambda: code_version.code_version() | {"sha256": "0" * 64})
    return "this software changed"


def add_a_picture(ws, monkeypatch):
    add_verification_ng(ws, [("more.png", hostile.encoded(small_run.scratched(2000)))])
    return "the dataset changed: 0 pictures gone or in another role, 1 new"


def change_a_role(ws, monkeypatch):
    spent = Ledger(ws).records(role="verification_ng")[0]
    Ledger(ws).assign([spent.sha256], "threshold_ng", by="test", why="test")
    return f"1 pictures gone or in another role ({spent.name})"


def lose_the_seal(ws, monkeypatch):
    for file in (ws.root / "seals").glob("*.seal.json"):
        file.write_text("{}")
    return "the seal of this record is gone or damaged"


def lose_the_list(ws, monkeypatch):
    name = newest(entries_of(ws)).content["inputs"]["frozen_sha256"]
    (ws.root / "seals" / f"{name}.json").unlink()
    return "the seal of this record is gone or damaged"


@pytest.mark.parametrize(
    "change",
    [
        change_a_picture,
        lose_the_bank,
        change_the_weights,
        change_a_setting,
        change_the_software,
        add_a_picture,
        change_a_role,
        lose_the_seal,
        lose_the_list,
    ],
)
def test_any_change_under_it_voids_it(approved, monkeypatch, change):
    expected = change(approved, monkeypatch)
    assert expected in "\n".join(told(approved))


def test_a_picture_changed_on_the_disk_voids_it_and_forbids_to_sign(approved):
    one = Ledger(approved).records(role="check_ok")[0]
    data = one.path.read_bytes()
    try:
        one.path.write_bytes(data + b"\0")
        assert f"{one.name} was changed" in told(approved)[0]
        with pytest.raises(IasError, match="import the pictures again before you sign"):
            sign_all(approved, now=NOW)
    finally:
        one.path.write_bytes(data)
    assert told(approved) == []  # its time of change is another one, its content is not


def test_the_software_is_known_by_its_numerical_code(tmp_path, monkeypatch):
    found = code_version.code_version()
    assert set(found) == {"version", "sha256"} and len(found["sha256"]) == 64
    for folder in ("ias_core", "calibration", "pages/services"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1"\n')
    monkeypatch.setattr(code_version, "ROOT", tmp_path)
    seen = set()
    for text in (b"a = 1\n", b"a = 1\r\n", b"a = 2\n"):
        (tmp_path / "ias_core" / "x.py").write_bytes(text)
        code_version.code_version.cache_clear()
        seen.add(code_version.code_version()["sha256"])
    code_version.code_version.cache_clear()
    assert len(seen) == 2  # line ends are no change


def test_release_needs_no_weights_file_for_a_network_from_the_hub():
    detector = replace(small_run.CONFIG.detector, backbone="resnet18")
    assert inputs.weights_file(replace(small_run.CONFIG, detector=detector)) is None
