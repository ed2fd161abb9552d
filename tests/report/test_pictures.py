"""The picture rows of the report, and which images get one."""

from __future__ import annotations

import numpy as np
import pytest
from tests.report_parts import KINDS, Page, make_case, pictures

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from types import SimpleNamespace

import torch

from medanomaly.report.gallery import Gallery, chosen, kinds_of
from medanomaly.report.page import render


def test_case_shows_panels_scores_and_names(evidence, scores, abnormal):
    page = Page(render(evidence, scores, abnormal, [make_case("miss", decision=False, heat=None)]))
    assert [image["alt"] for image in page.all("img")] == [
        "image of miss.png, truth: bleeding",
        "truth outline of miss.png, truth: bleeding",
    ]
    assert {"title": "/data/test/miss.png"} in page.all("h4")
    for shown in ("miss.png", "truth: bleeding", "normal score 0.813 raw 0.01236", "There is none to show."):
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
    assert page.text.count("There is none to show.") == 3
    assert "Worst misses" in page.text
    assert "Borderline" in page.text


def row(score: float, abnormal: bool, name: str = "a.png", **more) -> dict:
    """A row of the predictions; its raw score rises with its score."""
    return {"path": name, "abnormal": abnormal, "raw_score": 10 * score, "score": score, "decision": score > 0.5} | more


def test_kinds_of_a_row():
    assert dict(kinds_of(row(0.9, True))) == {"hit": 9.0, "borderline": pytest.approx(-0.4)}
    assert dict(kinds_of(row(0.9, False))) == {"false alarm": 9.0, "borderline": pytest.approx(-0.4)}
    assert dict(kinds_of(row(0.2, True))) == {"miss": -2.0, "borderline": pytest.approx(-0.3)}
    assert dict(kinds_of(row(0.2, False))) == {"borderline": pytest.approx(-0.3)}
    assert dict(kinds_of(row(0.9, True, distance=0.5)))["hit"] == 0.5  # a two-sided rule ranks distances


def test_the_gallery_shows_what_chosen_names_and_those_nearest_the_threshold():
    random = np.random.default_rng(3)
    rows = [
        row(float(score), bool(abnormal), f"{i}.png")
        for i, (score, abnormal) in enumerate(zip(random.random(60), random.random(60) > 0.5, strict=True))
    ]
    batch = SimpleNamespace(image=torch.zeros(60, 3, 4, 4), anomaly_map=torch.zeros(60, 4, 4), gt_mask=None)
    gallery = Gallery(3)
    for i, entry in enumerate(rows):
        gallery.offer(batch, i, entry, i)
    shown = gallery.shown({entry["path"]: "class" for entry in rows})
    assert {case.path for case in shown} == {rows[number]["path"] for number in chosen(rows, 3)}
    border = [case for case in shown if case.kind == "borderline"]
    nearest = sorted(rows, key=lambda entry: abs(entry["score"] - 0.5))[:3]
    assert [case.path for case in border] == [entry["path"] for entry in nearest]
    assert [case.kind for case in shown] == sorted([case.kind for case in shown], key=list(KINDS).index)
    assert {case.label for case in shown} == {"class"}


def test_no_picture_is_kept_where_none_is_wanted():
    gallery = Gallery(0)
    gallery.offer(SimpleNamespace(image=torch.zeros(1, 3, 4, 4), anomaly_map=None, gt_mask=None), 0, row(0.9, True), 0)
    assert gallery.shown({}) == []


def test_the_page_says_why_there_are_no_pictures(evidence, scores, abnormal):
    assert "The images <are> gone." in Page(render(evidence, scores, abnormal, [], "The images <are> gone.")).text
