"""The record to hand over: both forms say what the content says, on one page first, in every script, byte for byte."""

import base64
import hashlib
import random
import re
import subprocess
import sys
from html.parser import HTMLParser

import pypdfium2
import pypdfium2.raw as pdfium
import pytest

from ias_core.errors import IasError
from pages.services.chain import CANNOT_DO
from pages.services.document import fonts, html, pdf, picture
from pages.services.document.details import sections
from pages.services.document.facts import first_page
from pages.services.document.notes import texts_of
from pages.services.evidence_style import STYLES
from tests.app import sample_content as sample
from tests.browser import ARGUMENTS, ensure_browser

SHA = sample.RECORD_SHA256


def few_images(content: dict) -> dict:
    """The same with every 20th picture, where it is not the list of them that is looked at."""
    content["inputs"]["images"] = content["inputs"]["images"][::20]
    return content


FORMS = {
    "whole": (sample.content(), sample.signatures()),
    "unsigned": (few_images(sample.provisional()), []),
    "fullest": (sample.fullest(), sample.long_signatures()),
}


@pytest.fixture(scope="module")
def pdfs() -> dict[str, pypdfium2.PdfDocument]:
    return {name: pypdfium2.PdfDocument(pdf(*form, SHA)) for name, form in FORMS.items()}


@pytest.fixture(scope="module")
def htmls() -> dict[str, str]:
    return {name: html(*form, SHA) for name, form in FORMS.items()}


class Read(HTMLParser):
    """Text and tags of a page; ``first``: text of its first sheet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.text, self.first, self._skipped = [], "", "", 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._skipped += tag in ("style", "title")
        if tag == "div" and dict(attributes).get("class") == "sheet behind":
            self.first, self.text = self.text, ""

    def handle_endtag(self, tag):
        self._skipped -= tag in ("style", "title")

    def handle_data(self, data):
        if not self._skipped:
            self.text += data


def packed(text: str) -> str:
    """Without spaces, which a line break may add or eat, and as one text where a form changes the font."""
    return re.sub(r"[\s\u200e\u00ad\ufffe]", "", text)


def text_of(document: pypdfium2.PdfDocument, *numbers: int) -> str:
    return packed("".join(document[i].get_textpage().get_text_range() for i in numbers or range(len(document))))


@pytest.mark.parametrize("name", FORMS)
def test_both_forms_say_every_fact_of_the_first_page_on_it(name, pdfs, htmls):
    page = first_page(*FORMS[name], SHA)
    facts = [packed(text) for text in texts_of(page) if text not in (page.title, page.status)]
    facts = [fact for fact in facts if fact not in ("ok", "none", "real", "synthetic")]  # keys of colours and hatches
    assert len(facts) > 60
    printed, shown = text_of(pdfs[name], 0), packed(Read(htmls[name]).first)
    assert [fact for fact in facts if fact not in printed] == []
    assert [fact for fact in facts if fact not in shown] == []


@pytest.mark.parametrize("name", FORMS)
def test_both_forms_say_everything_behind_it(name, pdfs, htmls):
    behind = [packed(text) for text in texts_of(list(sections(*FORMS[name], SHA)))]
    printed, shown = text_of(pdfs[name], *range(1, len(pdfs[name]))), packed(Read(htmls[name]).text)
    assert [text for text in behind if text not in shown] == []
    # A long cell that goes on over a page is not one piece in the PDF.
    assert [text for text in behind if len(text) < 300 and text not in printed] == []


def test_counts_by_hand():
    page = first_page(*FORMS["whole"], SHA)
    assert [(one.head, one.bound) for one in page.counts] == [
        ("2 of 147", "95 % confidence: at most 4.22 %"),
        ("37 of 40", "95 % confidence: at least 81.7 %"),
        ("10 of 11", "95 % confidence: at least 63.6 %"),
    ]
    assert "not evidence of escape" in page.counts[1].label
    assert [one.title for one in page.mistakes] == ["Real NG missed: 1 of 11", "Good parts rejected: 2 of 147"]
    assert [one.score for one in page.mistakes[1].thumbs] == ["30.4120", "28.3770"]  # worst first
    assert page.coverage_title == "Failure modes: 2 of 7 without evidence, 2 with synthetic NG only"
    assert (page.threshold, page.class_head, page.banners, page.status) == (
        "28.1554",
        "T2 · real NG seen, too few",
        (),
        "",
    )


def test_what_may_not_be_released_cannot_be_overlooked(pdfs, htmls):
    """In words on every page, and first of all on the first."""
    refuted = first_page(sample.refuted(), sample.signatures(2), SHA)
    assert [(one.head, one.stops) for one in refuted.banners] == [("REFUTED", True), ("NOT APPROVED", False)]
    assert refuted.banners[1].text == "signatures missing: approved."
    assert text_of(pdfs["unsigned"], 0).startswith("PROVISIONAL")
    assert packed(Read(htmls["unsigned"]).first).find("PROVISIONAL") < packed(Read(htmls["unsigned"]).first).find(
        "Solar"
    )
    for number in range(len(pdfs["unsigned"])):
        assert "PROVISIONAL,NOTAPPROVED" in text_of(pdfs["unsigned"], number)
        assert "PROVISIONAL" not in text_of(pdfs["whole"], number)
    assert "nothingisknownaboutescapesyet" in text_of(pdfs["unsigned"], 0)


def test_signature_of_each_meaning_stays_when_the_list_is_cut():
    rows = sample.signatures()
    page = first_page(sample.content(), [rows[0], *[rows[1] | {"sha256": str(i)} for i in range(5)], rows[2]], SHA)
    assert [row.meaning for row in page.signatures] == ["calibrated", "reviewed", "approved"]
    assert page.signatures_more == "and 4 more, from page 2 on"


def test_lists_are_cut_with_a_count():
    page = first_page(*FORMS["fullest"], SHA)
    assert (len(page.coverage), page.coverage_more) == (12, "and 18 more, from page 2 on")
    assert [(len(one.thumbs), one.more) for one in page.mistakes] == [(3, "and 27 more, from page 2 on")] * 2
    for one in page.conditions:
        if one.items:
            assert one.more == f"and {9 - len(one.items)} more, from page 2 on"
    assert page.part.endswith("…") and len(page.part) < 90


def test_first_page_of_the_pdf_holds_it_all_inside_its_margins(pdfs):
    """Nothing is cut off at an edge, nothing runs into the footer; the details begin on page 2."""
    for name, document in pdfs.items():
        assert document[0].get_size() == pytest.approx((595.28, 841.89), abs=0.01)
        assert text_of(document, 1).startswith("A·Thedecisioninfull")
        for number in (0, 1):
            grey = document[number].render(scale=2).to_pil().convert("L")
            width, height = grey.size
            for box in (
                (0, 0, 60, height),  # the margins
                (width - 60, 0, width, height),
                (0, 0, width, 40),
                (0, height - 66, width, height - 55),  # above the line of the footer
                (0, height - 24, width, height),
            ):
                assert grey.crop(box).getextrema() == (255, 255), (name, number, box)


def test_japanese_chinese_and_german_are_printed_with_embedded_fonts(pdfs):
    text = text_of(pdfs["whole"], 0)
    for name in ("さくら渡辺", "张伟", "JürgenWeißmüller", "はんだ不良", "隐裂"):
        assert name in text
    used = fonts_of(pdfs["whole"][0])
    assert {font.split("+")[-1] for font in used.values()} == {"NotoSansSC-Regular", "IPAexGothic"}
    assert used["さ"].endswith("IPAexGothic") and used["裂"].endswith("NotoSansSC-Regular")
    assert used["辺"].endswith("IPAexGothic") and used["张"].endswith("NotoSansSC-Regular")
    grey = pdfs["whole"][0].render(scale=2).to_pil().convert("L")
    assert 0.04 < sum(grey.histogram()[:200]) / (grey.width * grey.height) < 0.4


def fonts_of(page: pypdfium2.PdfPage) -> dict[str, str]:
    """Character -> name of the font that printed it last."""
    import ctypes

    text, found = page.get_textpage(), {}
    for i in range(text.count_chars()):
        name, flags = ctypes.create_string_buffer(64), ctypes.c_int()
        pdfium.FPDFText_GetFontInfo(text, i, name, 64, flags)
        character = chr(pdfium.FPDFText_GetUnicode(text, i))
        if name.value and not character.isspace():
            found[character] = name.value.decode()
    return found


def test_every_picture_is_listed_by_its_hash(pdfs, htmls):
    hashes = {image["sha256"] for image in FORMS["whole"][0]["inputs"]["images"]}
    assert len(hashes) == 599
    for text in (text_of(pdfs["whole"]), htmls["whole"]):
        assert [one for one in hashes if one not in text] == []


def test_what_the_chain_cannot_do_is_said(pdfs):
    text = text_of(pdfs["whole"])
    for words in (
        CANNOT_DO,
        "In the style of 21 CFR Part 11",
        "this is not a claim of compliance",
        "Synthetic NG show where the detector looks; they are not evidence of what escapes.",
    ):
        assert packed(words) in text


def test_same_bytes_again_and_in_another_process(htmls):
    code = (
        "import hashlib; from tests.app.test_document import FORMS, SHA, html, pdf; "
        "print(hashlib.sha256(pdf(*FORMS['unsigned'], SHA)).hexdigest(), "
        "hashlib.sha256(html(*FORMS['unsigned'], SHA).encode()).hexdigest())"
    )
    env = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C", "PATH": ""}
    other = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    again = hashlib.sha256(pdf(*FORMS["unsigned"], SHA)).hexdigest()
    assert other.stdout.split() == [again, hashlib.sha256(htmls["unsigned"].encode()).hexdigest()]
    assert FORMS["whole"] == (sample.content(), sample.signatures())  # and the arguments are as they were


def test_small_file_with_a_title():
    bare = few_images(sample.content()) | {"thumbnails": {}}
    data = pdf(bare, sample.signatures(), SHA)
    assert len(data) < 500_000
    found = pypdfium2.PdfDocument(data).get_metadata_dict()
    assert found["Title"] == "Threshold record: Solarzelle M6 太陽電池セル 太阳能电池片"
    assert found["Author"] == "Jürgen Weißmüller; さくら 渡辺; 张 伟"
    assert found["Subject"] == f"record {SHA}"


HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)> ' & {{ 7*7 }} {% raw %}",
    "</style></title><b>" + "W" * 2000,
    "emoji 😀👩\u200d🔧 한글 עברית العربية",
    "turned \u202etxt.exe\u202c, \x00\x1b[31m\n\ttwo lines, a\u0308",
    "]]> <para> <font name='x'> &lt; &#0; \ud800",
)


def test_names_can_do_nothing_but_be_read():
    """Each in a row of its own, and all but the long one together where there is but one place."""
    content, signatures, every = (
        few_images(sample.content()),
        sample.signatures(1),
        " ".join(sorted(HOSTILE, key=len)[:-1]),
    )
    content["product"] = dict.fromkeys(content["product"], every) | {"part": max(HOSTILE, key=len)}
    content["proposed_release"] = content["threshold"]["title"] = content["scores"]["synthetic_method"] = every
    content["threshold"]["unit"] = content["threshold"]["review_why"] = every
    content["counts"]["synthetic"]["method"] = every
    content["coverage"] = [content["coverage"][0] | {"mode": name, "note": name} for name in HOSTILE]
    content["conditions"] = dict.fromkeys(content["conditions"], list(HOSTILE)) | {"expires": every}
    content["review"]["reviewers"][0]["name"] = content["review"]["agreement"][0]["between"] = every
    content["report"]["synthesis"]["methods"][every] = content["report"]["synthesis"]["methods"].pop("glass-las-own")
    for key in ("missed", "challenge"):
        content[key] = [content[key][0] | {"file": name, "kind": name} for name in HOSTILE]
    content["inputs"]["images"] = [
        content["inputs"]["images"][0] | {"name": name, "session": name, "role": name} for name in HOSTILE
    ]
    signatures = [signatures[0] | {"signed_by": name, "reason": name, "role": name} for name in HOSTILE]
    for one in signatures:
        one["identity"] = dict.fromkeys(("issuer", "subject", "email"), one["signed_by"]) | {"how": "OpenID Connect"}

    page = html(content, signatures, SHA)
    read = Read(page)
    allowed = (
        "html head meta title style body main div b span h1 h2 p strong em br svg clippath g path rect text circle"
    )
    allowed += " polygon desc img table colgroup col thead tbody tr th td ul li section bdi"
    assert {tag for tag, _ in read.tags} <= set(allowed.split())
    assert not any(key.startswith("on") for _, attributes in read.tags for key in attributes)
    sources = [attributes[key] for _, attributes in read.tags for key in ("src", "href") if key in attributes]
    assert sources and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"url\((?!data:font/woff;base64,|#clip\))", page)
    document = pypdfium2.PdfDocument(pdf(content, signatures, SHA))
    printed, shown = text_of(document), packed(read.text)
    assert text_of(document, 1).startswith("A·") and "A·" in packed(read.text)
    for name in HOSTILE:
        name = name.translate(dict.fromkeys(map(ord, "\n\t"), " ")).replace("a\u0308", "ä")
        name = packed(re.sub("[\u202e\u202c\x00\x1b\ud800]", "\ufffd", name))
        assert name in shown
        assert not name.isascii() or name in printed
    for note in ("U+D55C", "right to left"):
        assert packed(note) in printed and note in page


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ({"zhplot"}, "Made without Noto Sans SC: these fonts were not installed."),
        ({"zhplot", "matplotlib_fontja", "matplotlib"}, "Made without Noto Sans SC and IPAex Gothic and DejaVu Sans"),
    ],
)
def test_missing_fonts_are_said_and_the_record_is_made(monkeypatch, lost, said):
    found = fonts._path
    monkeypatch.setattr(fonts, "_path", lambda package, file: None if package in lost else found(package, file))
    form, clear = (few_images(sample.content()), sample.signatures()), (fonts.faces, fonts._printed)
    try:
        for one in clear:
            one.cache_clear()
        text = text_of(pypdfium2.PdfDocument(pdf(*form, SHA)))
        page = html(*form, SHA)
    finally:
        for one in clear:
            one.cache_clear()
    assert packed(said) in text[-700:] and said in page
    assert "JürgenWeißmüller" in text
    assert ("さくら" in text) == ("matplotlib_fontja" not in lost)


def test_picture_shows_each_part_on_its_side():
    """A score at the threshold is NG; a miss just below it is an open mark of its own."""
    content = sample.content()
    content["threshold"] |= {"value": 10.0, "review_from": None}
    content["scores"] |= {
        "ok": [9.0, 9.1, 10.0],
        "synthetic": [9.999999, 12.0],
        "real": [{"file": "a", "kind": "", "score": score} for score in (10.0, 9.999999, 14.0)],
    }
    shapes = picture.drawing(content).contents
    real = [one for one in shapes if marked(one, "real")]
    assert sorted(one.fillColor.hexval() for one in real) == ["0xd81b60"] * 2 + ["0xffffff"]
    made = [one for one in shapes if marked(one, "synthetic") and one.y < picture.LEAST_HEIGHT / 2 + 20]
    assert sorted(one.fillColor.hexval() for one in made) == ["0xe69f00", "0xffffff"]
    texts = {one.text for one in shapes if hasattr(one, "text")}
    assert {"NG from 10.0000 on", "good parts, n = 3", "synthetic NG, n = 2", "real NG, n = 3"} <= texts
    assert {"image score (feature distance)", "Image scores", "open: missed"} <= texts


def marked(shape, key: str) -> bool:
    """Whether it is a bar or a square of this kind in the rows, not one of the legend."""
    outline = STYLES[key].outline.lower().replace("#", "0x")
    return (
        type(shape).__name__ == "Rect"
        and shape.x > 100
        and shape.strokeColor is not None
        and shape.strokeColor.hexval() == outline
    )


def test_no_bar_of_the_picture_lies_on_both_sides():
    rng = random.Random(4)
    for _ in range(200):
        values = [rng.lognormvariate(2, 1) for _ in range(rng.randint(1, 30))]
        threshold = rng.choice([*values, rng.uniform(0.1, 60)])
        edges = picture.bin_edges(values, threshold)
        assert threshold in edges
        for value in values:
            place = picture._bin_of(value, threshold, edges)
            assert 0 <= place < len(edges) - 1
            assert (edges[place] >= threshold) == (value >= threshold)
            step = edges[1] - edges[0]
            assert edges[place] - 1e-6 * step <= value <= edges[place + 1] + 1e-6 * step


def test_many_real_ng_become_bars():
    content = sample.content()
    content["scores"]["real"] = [{"file": "a", "kind": "", "score": 20.0 + i % 3} for i in range(900)]
    bars = [one for one in picture.drawing(content).contents if marked(one, "real")]
    assert len(bars) == 3 and {one.fillColor.hexval() for one in bars} == {"0xffffff"}
    content["scores"] |= {"real": [], "synthetic": [], "ok": []}
    assert sum(getattr(one, "text", "") == "none" for one in picture.drawing(content).contents) == 3


@pytest.mark.parametrize(
    ("change", "sha", "said"),
    [
        ({"schema": "ng0-release/9"}, SHA, "schema ng0-release/1, got 'ng0-release/9'"),
        ({}, "not signed", "64 hexadecimal digits, got 'not signed'"),
        ({"threshold": sample.content()["threshold"] | {"value": float("nan")}}, SHA, "finite threshold"),
        (
            {"thumbnails": {sample.sha("check", 5): {"picture": base64.b64encode(b"GIF89a").decode(), "map": ""}}},
            SHA,
            "expected a JPEG as picture of ok_005.png",
        ),
    ],
)
def test_what_is_no_record_is_refused_in_one_sentence(change, sha, said):
    for form in (html, pdf):
        with pytest.raises(IasError, match=re.escape(said)):
            form(sample.content() | change, sample.signatures(), sha)


@pytest.mark.browser
def test_first_page_of_the_html_prints_on_one_sheet(htmls, tmp_path):
    """Without a request to anywhere, with the scripts of all names."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=ensure_browser(), args=list(ARGUMENTS))
        try:
            for name, page in htmls.items():
                (tmp_path / f"{name}.html").write_text(page, encoding="utf-8")
                tab, asked = browser.new_page(), []
                tab.on("request", lambda request, asked=asked: asked.append(request.url))
                tab.goto((tmp_path / f"{name}.html").as_uri())
                document = pypdfium2.PdfDocument(tab.pdf(prefer_css_page_size=True))
                assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / f"{name}.html").as_uri()]
                assert document[0].get_size() == pytest.approx((595, 842), abs=1.5)
                assert f"Recordhash(sha256):{SHA}" in text_of(document, 0), name
                assert "A·Thedecisioninfull" not in text_of(document, 0)
                assert "A·Thedecisioninfull" in text_of(document, 1), name
                assert f"page1of{len(document)}" in text_of(document, 0)
                assert ("PROVISIONAL,NOTAPPROVED" in text_of(document, 2)) == (name == "unsigned")
                if name == "whole":
                    assert "さくら渡辺" in text_of(document, 0) and "张伟" in text_of(document, 0)
        finally:
            browser.close()
