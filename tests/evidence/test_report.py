"""The report page: complete, honest about what is undefined, and self-contained."""

from __future__ import annotations

import base64
import copy
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from medanomaly.evidence import charts, report
from medanomaly.evidence.report import Case, render

NORMAL, ABNORMAL = 60, 140
BOOTSTRAP = "95 % bootstrap by group, 1000 draws"
KINDS = ("false alarm", "miss", "hit", "borderline")
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Every tag with its attributes, the text a reader sees, and whether tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.text = re.sub(r"\s+", " ", " ".join(self.words).replace("\u00a0", " "))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open[-1:]:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def figure(value: float | None, **more: Any) -> dict[str, Any]:
    if value is None:
        return {"value": None, "low": None, "high": None, "interval": BOOTSTRAP, **more}
    return {"value": value, "low": value - 0.0312, "high": value + 0.0223, "interval": BOOTSTRAP, **more}


@pytest.fixture
def scores() -> np.ndarray:
    random = np.random.default_rng(0)
    return np.exp(np.r_[random.normal(-6.5, 0.7, NORMAL), random.normal(-5.5, 1.2, ABNORMAL)])


@pytest.fixture
def abnormal() -> np.ndarray:
    return np.arange(NORMAL + ABNORMAL) >= NORMAL


@pytest.fixture
def evidence() -> dict[str, Any]:
    return {
        "schema": 1,
        "created": "2026-11-21T05:40:00+00:00",
        "run": {
            "model": "Autoencoder",
            "data": "WirelessCapsule",
            "model_class": "medanomaly_autoencoder.lightning_model.Autoencoder",
            "options": {"width": 37, "loss": "mse"},
            "data_options": {"field_of_view": "crop:0.67"},
            "seed": 4242,
            "epochs": 31,
            "versions": {"medanomaly": "0.1.0", "anomalib": "2.7.9"},
        },
        "data": {
            "counts": [
                {"split": "train", "label": "healthy", "normal": True, "images": 665, "groups": 601},
                {"split": "test", "label": "ulcer", "normal": False, "images": 834, "groups": None},
            ],
            "groups_known": True,
            "split_sha256": "ab12" * 16,
            "reading": {"size": [64, 96], "intensity": "dtype"},
        },
        "operating_point": {
            "rule": "quantile",
            "value": 0.95,
            "question": "Of 100 healthy images, let about 5 be flagged.",
            "threshold": 0.00312,
            "fitted_on": {"normal": 211, "abnormal": 286},
            "pixel": {"rule": "quantile", "value": 0.99, "threshold": 0.02173},
        },
        "image": {
            "images": 200,
            "normal": NORMAL,
            "abnormal": ABNORMAL,
            "prevalence": 0.7,
            "auroc": figure(0.7312),
            "average_precision": figure(0.9124),
            "sensitivity": {"value": 0.5, "low": 0.418, "high": 0.582, "interval": "95 % Wilson", "count": [70, 140]},
            "specificity": {"value": 0.95, "low": 0.863, "high": 0.983, "interval": "95 % Wilson", "count": [57, 60]},
            "precision": {"value": 0.9589, "low": 0.886, "high": 0.986, "interval": "95 % Wilson", "count": [70, 73]},
            "f1": figure(0.6573),
            "confusion": {"true_positive": 70, "false_positive": 3, "false_negative": 70, "true_negative": 57},
        },
        "pixel": {
            "images": 200,
            "with_mask": 139,
            "auroc": figure(0.8416),
            "aupro": figure(0.4321),
            "mask_note": "Masks are ellipses.",
        },
        "caveats": [
            {"severity": "note", "title": "Few groups", "text": "Only 19 groups set the threshold."},
            {"severity": "warning", "title": "The score is inverted", "text": "Normal images score higher & more."},
        ],
        "skipped": [],
    }


def make_case(kind: str = "hit", size: int = 32, **more: Any) -> Case:
    image = np.random.default_rng(1).random((size, size, 3), dtype=np.float32)
    square = np.zeros((size, size), bool)
    square[size // 4 : size // 2, size // 4 : size // 2] = True
    settings: dict[str, Any] = {
        "kind": kind,
        "path": f"/data/test/{kind}.png",
        "label": "bleeding",
        "raw_score": 0.012361,
        "score": 0.8127,
        "decision": True,
        "image": image,
        "heat": np.full((size, size), 0.3, np.float32),
        "mask": square,
    }
    return Case(**{**settings, **more})


def pictures(text: str) -> list[np.ndarray]:
    """The pictures of a page, RGB."""
    found = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", text)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)[:, :, ::-1] for data in found]


def test_page_loads_nothing_and_is_well_formed(evidence, scores, abnormal):
    text = render(evidence, scores, abnormal, [make_case(kind) for kind in KINDS])
    page = Page(text)
    assert not page.open
    assert not page.all("script")
    assert not page.all("link")
    assert not re.search(r"url\(\s*['\"]?(?!#)|@import", text)
    for _, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert (attrs.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    for image in page.all("img"):
        assert len(image["alt"] or "") > 5


def test_ids_are_unique_and_every_reference_has_a_target(evidence, scores, abnormal):
    text = render(evidence, scores, abnormal, [make_case()])
    ids = [attrs["id"] for _, attrs in Page(text).tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    references |= set(re.findall(r'aria-labelledby="([^"]+)"', text))
    assert len(references) > 10
    assert references <= set(ids)


def test_every_figure_count_and_setting_is_on_the_page(evidence, scores, abnormal):
    text = Page(render(evidence, scores, abnormal, [])).text
    for shown in ("0.731", "0.912", "0.657", "0.842", "0.432", "50.0 %", "95.0 %", "95.9 %"):
        assert shown in text
    for shown in ("0.700 – 0.753", "0.881 – 0.935", "41.8 % – 58.2 %", "86.3 % – 98.3 %", BOOTSTRAP, "95 % Wilson"):
        assert shown in text
    for shown in ("70 of 140", "57 of 60", "70 of 73", "prevalence: 0.700", "Masks are ellipses.", "139"):
        assert shown in text
    for shown in ("0.00312", "0.02173", "Of 100 healthy images, let about 5 be flagged.", "211", "286"):
        assert shown in text
    for shown in ("37", "4242", "31", "crop:0.67", "64, 96", "2.7.9", "ab12" * 16, "665", "601", "834", "unknown"):
        assert shown in text
    assert "Autoencoder on WirelessCapsule" in text
    assert "21 November 2026, 05:40 UTC" in text
    assert "Research use; not a medical device." in text


def test_caveats_come_whole_warnings_first_and_before_figures(evidence, scores, abnormal):
    text = Page(render(evidence, scores, abnormal, [])).text
    order = [
        text.index("Warning: The score is inverted"),
        text.index("Normal images score higher & more."),
        text.index("Note: Few groups"),
        text.index("Only 19 groups set the threshold."),
        text.index("0.731"),
    ]
    assert order == sorted(order)


def test_summary_gives_counts_and_turns_the_interval_of_specificity(evidence):
    sentence = report.summary(evidence).replace("\u00a0", " ")
    assert "70 of 140 abnormal images (50 %, 95 % interval 42–58 %)" in sentence
    assert "3 of 60 normal images (5 %, 95 % interval 2–14 %)" in sentence
    assert "let about 5 be flagged" in sentence


def test_sections_keep_their_order(evidence, scores, abnormal):
    ids = [
        attrs["id"]
        for tag, attrs in Page(render(evidence, scores, abnormal, [])).tags
        if tag == "section" and "id" in attrs
    ]
    assert ids == ["caveats", "figures", "decision", "scores", "cases", "training"]


def one_class(evidence: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(evidence)
    for key in ("auroc", "average_precision", "sensitivity", "precision", "f1"):
        changed["image"][key] = figure(None, reason=f"No abnormal test image for {key}.")
    changed["image"] |= {"images": NORMAL, "abnormal": 0, "prevalence": 0.0}
    changed["image"]["confusion"] |= {"true_positive": 0, "false_negative": 0}
    return changed | {"pixel": None}


def test_one_class_reads_undefined_with_its_reason_and_never_zero_or_nan(evidence, scores):
    page = Page(render(one_class(evidence), scores[:NORMAL], np.zeros(NORMAL, bool), []))
    assert page.text.count("undefined") >= 6
    for key in ("auroc", "average_precision", "sensitivity", "precision", "f1"):
        assert f"No abnormal test image for {key}." in page.text
    assert "ROC curve: undefined" in page.text
    assert "no abnormal one: nothing can be said about what is missed" in page.text
    assert not re.search(r"\bnan\b|\bNone\b", page.text)
    assert "0.0 %" not in page.text
    assert "Pixel figures are undefined" in page.text


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_undefined_pixel_figure(evidence, scores, abnormal, value):
    evidence["pixel"]["aupro"] = {"value": value, "low": None, "high": None}
    text = Page(render(evidence, scores, abnormal, [])).text
    assert re.search(r"AUPRO undefined This data does not define it\.", text)


def test_interval_may_be_undefined_where_the_value_is_not(evidence, scores, abnormal):
    evidence["image"]["auroc"] |= {"low": None, "high": None}
    text = Page(render(evidence, scores, abnormal, [])).text
    assert "AUROC 0.731 no interval" in text


def test_what_comes_from_outside_is_escaped(evidence, scores, abnormal):
    attack = "<img src=x onerror=alert(1)>.png"
    evidence["caveats"][0]["text"] = evidence["run"]["model"] = evidence["operating_point"]["question"] = attack
    evidence["run"]["options"] = {attack: attack}
    evidence["skipped"] = [attack]
    case = make_case(path=attack, label='"><script>alert(1)</script>', kind="<b>other</b>")
    page = Page(render(evidence, scores, abnormal, [case]))
    assert len(page.all("img")) == 3
    assert not any("onerror" in attrs for _, attrs in page.tags)
    assert not page.all("script")
    assert page.text.count(attack) >= 6
    assert {"title": attack} in page.all("h4")


def test_case_shows_panels_scores_and_names(evidence, scores, abnormal):
    page = Page(render(evidence, scores, abnormal, [make_case("miss", decision=False, heat=None)]))
    assert [image["alt"] for image in page.all("img")] == [
        "image of miss.png, truth: bleeding",
        "truth outline of miss.png, truth: bleeding",
    ]
    assert {"title": "/data/test/miss.png"} in page.all("h4")
    for shown in ("miss.png", "truth: bleeding", "passed score 0.813 raw 0.01236", "There is none to show."):
        assert shown in page.text


def test_pictures_keep_their_colours_and_small_ones_stay_sharp(evidence, scores, abnormal):
    image = np.zeros((8, 8, 3), np.float32)
    image[:, :, 0] = 1
    text = render(evidence, scores, abnormal, [make_case(size=8, image=image, mask=None, heat=None)])
    assert np.array_equal(pictures(text)[0], np.rint(image * 255))
    assert Page(text).all("img")[0]["class"] == "small"
    text = render(evidence, scores, abnormal, [make_case(size=200)])
    assert "class" not in Page(text).all("img")[0]


def test_heat_and_mask_of_another_size_and_not_finite(evidence, scores, abnormal):
    heat = np.full((6, 5), np.nan, np.float32)
    case = make_case(image=np.full((48, 64, 3), np.nan, np.float32), heat=heat, mask=np.ones((12, 16), bool))
    text = render(evidence, scores, abnormal, [case])
    assert [picture.shape for picture in pictures(text)] == [(48, 64, 3)] * 3


def test_a_small_mask_stays_visible_when_a_large_picture_is_scaled_down(evidence, scores, abnormal):
    mask = np.zeros((1000, 1000), bool)
    mask[500, 500] = True
    case = make_case(image=np.zeros((1000, 1000, 3), np.float32), heat=None, mask=mask)
    plain, outlined = pictures(render(evidence, scores, abnormal, [case]))
    assert max(plain.shape) == 320
    assert (outlined != plain).any()


def test_page_stays_below_ten_megabytes(evidence, scores, abnormal):
    cases = [make_case(kind, size=224) for kind in KINDS for _ in range(6)]
    text = render(evidence, scores, abnormal, cases)
    assert len(pictures(text)) == 72
    assert len(text.encode()) < 10_000_000


def test_a_mask_that_marks_nothing_and_an_empty_kind_say_no_more_than_is_known(evidence, scores, abnormal):
    page = Page(render(evidence, scores, abnormal, [make_case("false alarm", mask=np.zeros((32, 32), bool))]))
    assert len(page.all("img")) == 2
    assert page.text.count("There is none to show.") == 2
    assert "Worst misses" in page.text
    assert "Borderline" not in page.text


def test_what_is_not_known_is_said(evidence, scores, abnormal):
    evidence["operating_point"] = None
    evidence["data"] |= {"counts": [], "groups_known": False, "split_sha256": None, "reading": None}
    evidence["run"] |= {"seed": None, "epochs": None, "options": None}
    evidence["image"]["precision"] = {
        "value": None,
        "low": None,
        "high": None,
        "count": [0, 0],
        "reason": "nothing is flagged",
    }
    text = Page(render(evidence, scores, abnormal, [])).text
    for shown in (
        "does not tell its operating point",
        "The table of images is not known.",
        "not known which images belong to the same patient",
        "seed none",
        "Nothing is flagged.",
    ):
        assert shown in text
    assert "None" not in text
    assert "dashed line" not in text


def test_numbers_never_round_to_certainty():
    assert report.percent(0.9996).replace("\u00a0", " ") == "99.96 %"
    assert report.percent(1.0) == "100\u00a0%"
    assert report.percent(0.0, 1) == "0.0\u00a0%"
    assert report.percent(1e-6).startswith("<")
    assert report.percent(1 - 1e-6).startswith(">")
    assert report.number(None) == report.number(float("nan")) == report.percent(None) == report.raw(None) == "undefined"
    assert report.moment("yesterday") == "yesterday"


@pytest.mark.parametrize(
    "values",
    [
        [0.5, 0.5, 0.5],
        [-3.0, 0.0, 2.0],
        [1e-8, 1.0, 1e8],
        [0.0, 1e-5, 1.0],
        [1e9, 1e9 + 1e-7, 1e9],
        [np.nan, 1.0, np.inf],
    ],
)
@pytest.mark.parametrize("threshold", [0.5, 0.0, 1e-12, None, float("nan")])
def test_charts_draw_awkward_scores(values, threshold):
    truth = [True, False, True]
    svg = charts.score_histogram(np.array(values), np.array(truth), threshold)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    drawn = threshold is not None and np.isfinite(threshold)
    assert svg.count("operating point") == 1 + drawn  # once in the title, once in the legend
    curve = charts.roc(np.array(values), np.array(truth), threshold, "AUROC")
    kept = np.array(truth)[np.isfinite(values)]
    assert (curve is None) == (kept.all() or not kept.any())


@pytest.mark.parametrize("truth", [True, False])
def test_charts_of_one_class(truth):
    values, truths = np.array([0.1, 0.2, 0.9]), np.full(3, truth)
    words = "".join(ElementTree.fromstring(charts.score_histogram(values, truths, 0.5)).itertext())
    assert ("abnormal (3)" if truth else "normal (3)") in words
    assert words.count("(3)") == 1
    assert charts.roc(values, truths, 0.5, "AUROC") is None


def test_histogram_without_any_finite_score():
    assert "no finite score" in charts.score_histogram(np.array([np.nan]), np.array([True]), 0.5)


def test_histogram_axis_is_logarithmic_only_beyond_two_decades_and_tells_what_it_hides():
    truth = np.arange(100) % 2 == 0
    wide = np.geomspace(1e-3, 10, 100)
    assert "logarithmic" in charts.score_histogram(wide, truth, 0.1)
    assert "logarithmic" not in charts.score_histogram(np.linspace(1, 50, 100), truth, 2.0)
    wide[0] = -1
    assert "1 below" in charts.score_histogram(wide, truth, 0.1)
    wide[5] = np.nan
    assert "1 not finite" in charts.score_histogram(wide, truth, 0.1)


def test_no_bar_straddles_the_threshold():
    for low, high, anchor in ((0.0, 1.0, 0.37), (-3.0, -1.0, -1.0), (2.0, 2.0, 2.0)):
        edges = charts._edges(low, high, 20, anchor)
        assert np.abs(edges - anchor).min() < 1e-9
        assert edges[0] <= low
        assert edges[-1] >= high


def test_roc_points_against_the_definition():
    values = np.array([0.1, 0.4, 0.4, 0.8, 0.3, 0.9])
    truth = np.array([False, True, False, True, False, True])
    alarms, hits = charts._roc_points(values, truth)
    assert np.allclose(alarms, [0, 0, 0, 1 / 3, 2 / 3, 1])
    assert np.allclose(hits, [0, 1 / 3, 2 / 3, 1, 1, 1])


def test_roc_marks_an_image_as_flagged_only_above_the_threshold(evidence):
    svg = charts.roc(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True]), 2.0, "AUROC <1> & $x$")
    assert svg is not None
    words = "".join(ElementTree.fromstring(svg).itertext())
    assert "1 of 2 found" in words
    assert "0 of 2 false alarms" in words
    assert words.count("AUROC <1> & $x$") == 2


def test_charts_refuse_scores_and_truths_of_different_length():
    with pytest.raises(ValueError, match="3 scores but 2 truths"):
        charts.score_histogram(np.ones(3), np.ones(2, bool), 0.5)


def test_chart_of_many_images_stays_small():
    random = np.random.default_rng(0)
    svg = charts.roc(random.random(50_000), random.random(50_000) > 0.5, 0.5, "AUROC 0.5")
    assert svg is not None
    assert len(svg) < 1_000_000
