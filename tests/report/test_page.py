"""The report page: complete, honest about what is undefined, and self-contained."""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np
import pytest
from tests.report_parts import BOOTSTRAP, KINDS, NORMAL, Page, figure, make_case

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from medanomaly.metrics import formatting
from medanomaly.report.page import render


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
    for shown in ("0.00312", "0.02173", "Of 100 healthy images, let about 5 be flagged."):
        assert shown in text
    assert "Rule: quantile 0.95, fitted on 211 normal images." in text
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
    sentence = formatting.summary(evidence).replace("\u00a0", " ")
    assert "70 of 140 abnormal images (50 %, 95 % interval 42–58 %)" in sentence
    assert "3 of 60 normal images (5 %, 95 % interval 2–14 %)" in sentence
    assert "let about 5 be flagged" in sentence


def test_sections_keep_their_order(evidence, scores, abnormal):
    ids = [
        attrs["id"]
        for tag, attrs in Page(render(evidence, scores, abnormal, [])).tags
        if tag == "section" and "id" in attrs
    ]
    assert ids == ["caveats", "figures", "decision", "scores", "cases", "training", "limits", "checklist"]


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
    evidence["image"]["auroc"] |= {"reason": "all draws gave the same value"}
    assert "no interval: all draws gave the same value" in Page(render(evidence, scores, abnormal, [])).text


def test_the_same_interval_is_shown_once(evidence, scores, abnormal):
    same = {"low": 0.582, "high": 1.0, "interval": "95 % Hanley and McNeil, score"}
    evidence["image"]["auroc"] = {"value": 1.0, **same, "delong": same}
    text = Page(render(evidence, scores, abnormal, [])).text
    assert "0.582 – 1.000 95 % Hanley and McNeil, score How often" in text


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ("sigma", "fitted on 211 normal images."),
        ("conformal", "fitted on 211 normal images."),
        ("sensitivity", "fitted on 286 abnormal images."),
        ("youden", "fitted on 211 normal and 286 abnormal images."),
        ("of another version", "fitted on 211 normal and 286 abnormal images."),
        ("manual", "Rule: manual 0.95."),
    ],
)
def test_a_rule_names_the_images_that_it_looked_at(evidence, scores, abnormal, rule, shown):
    evidence["operating_point"]["rule"] = rule
    assert shown in Page(render(evidence, scores, abnormal, [])).text


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
    assert formatting.percent(0.9996).replace("\u00a0", " ") == "99.96 %"
    assert formatting.percent(1.0) == "100\u00a0%"
    assert formatting.percent(0.0, 1) == "0.0\u00a0%"
    assert formatting.percent(1e-6).startswith("<")
    assert formatting.percent(1 - 1e-6).startswith(">")
    assert (
        formatting.number(None)
        == formatting.number(float("nan"))
        == formatting.percent(None)
        == formatting.raw(None)
        == "undefined"
    )
    assert formatting.moment("yesterday") == "yesterday"


def test_an_old_record_with_the_least_still_makes_a_page(evidence, scores, abnormal):
    image = {key: evidence["image"][key] for key in ("images", "normal", "abnormal", "confusion")}
    image |= {key: evidence["image"][key] for key in ("sensitivity", "specificity")}
    page = Page(render({"schema": 1, "image": image}, scores, abnormal, []))
    assert not page.open
    assert "70 of 140" in page.text
    assert "does not tell its operating point" in page.text
    assert "None" not in page.text


@pytest.mark.parametrize("empty", [None, {}])
def test_parts_that_are_empty_do_not_break_the_page(evidence, scores, abnormal, empty):
    for key in ("pixel", "operating_point", "checks", "run", "data"):
        page = Page(render(evidence | {key: empty}, scores, abnormal, []))
        assert not page.open


def test_figures_never_read_as_certain():
    assert formatting.with_span({"value": 0.5, "low": None, "high": 0.6}) == "0.500"
    assert formatting.with_span({"value": -0.25, "low": -0.5, "high": 0.0}, "signed") == "−0.250 (−0.500 – +0.000)"
    assert formatting.with_span(None) == "undefined"
    assert formatting.chance(0.0004) == "<\u00a00.001"
    assert formatting.chance(None) == formatting.chance(float("nan")) == "undefined"
    assert formatting.rule({"rule": "cost", "value": {"miss": 10, "alarm": 1.5}}) == "cost (miss 10, alarm 1.5)"
    assert formatting.moment(None) == "an unknown date"
