"""The later sections of the report: newer figures, checks, subgroups, history, limits, checklist."""

from __future__ import annotations

import re

import pytest
from tests.report_parts import Page, figure

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from medanomaly.report import check_cards, checklist
from medanomaly.report.page import completed, render


@pytest.fixture
def newer(evidence):
    """Evidence with every figure that runs write now."""
    evidence["image"]["auroc"]["delong"] = {"low": 0.7011, "high": 0.7522, "interval": "95 % DeLong by group, logit"}
    evidence["image"] |= {
        "partial_auroc": {**figure(0.6123), "fpr": 0.1},
        "balanced_accuracy": figure(0.7251),
        "mcc": figure(0.4141),
        "likelihood_ratio_positive": {"value": 10.04, "low": 3.3, "high": 30.6, "interval": "95 % log method"},
        "likelihood_ratio_negative": {"value": 0.526, "low": 0.44, "high": 0.63, "interval": "95 % log method"},
        "predictive_values": [
            {"prevalence": 0.01, "of_test": False, "ppv": figure(0.0917), "npv": figure(0.9947)},
            {"prevalence": 0.7, "of_test": True, "ppv": figure(0.9589), "npv": figure(0.4488)},
        ],
        "flag_all_f1": 0.8235,
        "parts": {"density": figure(0.6789), "error": figure(None, reason="one class")},
        "calibration": {
            "method": "platt",
            "prevalence": 0.58,
            "ece": 0.1357,
            "brier": 0.2468,
            "curve": [{"mean": 0.3, "observed": 0.4, "low": 0.2, "high": 0.6, "count": 20}],
        },
    }
    evidence["pixel"] |= {
        "dice": {
            **figure(0.3579),
            "of": "mean over images with a mask",
            "pooled": figure(0.4444),
            "normal": {"images": 60, "marked_share": figure(0.0713), "any_marked": figure(0.2)},
        },
        "froc": [{"false_positives": 0.5, "sensitivity": 0.61}, {"false_positives": 2.0, "sensitivity": 0.83}],
        "froc_at": [{"false_positives": 0.5, **figure(0.61)}],
    }
    return evidence


def baseline(low: float | None, high: float | None, name: str = "sharpness", auroc: float = 0.9) -> dict:
    return {
        "name": name,
        "direction": "low",
        "chosen_on": "validation",
        "auroc": figure(auroc),
        "difference": {"value": -0.1, "low": low, "high": high},
        "images": {"normal": 51, "abnormal": 131},
        "left_out": 0,
        "note": "A note.",
        "all": [{"name": name, "validation": None, "test": 0.0777, "difference": {"value": -0.1}}],
    }


CHECKS = {
    "one_number": baseline(-0.2, -0.05),
    "field_of_view": {"reason": "the data module has no reading of ours"},
    "covering": {
        "images": 88,
        "flagged": 44,
        "flips_back": 33,
        "random_flips_back": 2,
        "lower": 80,
        "auroc": figure(0.81),
        "auroc_covered": figure(0.55),
        "auroc_random": figure(0.8),
        "difference": {"value": 0.25, "low": 0.2, "high": 0.3},
    },
    "overfitting": {"auroc": {"value": 0.7, "low": 0.65, "high": 0.75}, "training": 400, "validation": 211},
    "groups": {
        "shared": {"train": {"groups": 2, "images": 9}, "val": {"groups": 0, "images": 0}},
        "test_groups": 77,
        "examples": ["patient 7"],
    },
    "subgroups": {
        "columns": [
            {
                "column": "scanner",
                "comparisons": 1,
                "unknown": 4,
                "levels": [
                    {
                        "level": "Siemens <7>",
                        "images": 70,
                        "normal": 30,
                        "abnormal": 40,
                        "auroc": figure(0.6543),
                        "sensitivity": figure(0.3211),
                        "specificity": figure(None),
                        "gap": {"auroc": {"value": -0.2, "low": -0.3, "high": -0.1, "marked": True}},
                    }
                ],
            }
        ],
        "threshold": 0.00312,
    },
}


def state(check: dict | None, name: str, groups_known: bool = True) -> str:
    return check_cards.check_cards({name: check}, figure(0.8), groups_known)[0]["state"]


def test_every_newer_figure_is_on_the_page(newer, scores, abnormal):
    text = Page(render(newer, scores, abnormal, [])).text
    for shown in (
        "0.701 – 0.752, 95 % DeLong by group, logit",
        "0.612",
        "72.5 %",
        "0.414",
        "10.04",
        "3.30 – 30.60",
        "0.53",
    ):
        assert shown in text
    for shown in ("1.0 %", "9.2 %", "99.5 %", "this test", "Flagging every image would give 0.824"):
        assert shown in text
    assert re.search(r"density 0\.679 0\.648 – 0\.701 error undefined", text)
    for shown in ("Platt's method", "58 % are abnormal", "calibration error 0.136, Brier score 0.247"):
        assert shown in text
    for shown in ("Dice 0.358", "mean over images with a mask", "0.444", "7.1 % of the pixels", "At 0.5: 61.0 %"):
        assert shown in text


def test_bars_stay_inside_whatever_the_figure(newer, scores, abnormal):
    newer["image"]["mcc"] = {"value": -1.0, "low": -1.0, "high": -0.9}
    newer["image"]["partial_auroc"] = {"value": -0.02, "low": -0.04, "high": 1.3, "fpr": 0.1}
    page = Page(render(newer, scores, abnormal, []))
    places = [re.findall(r"(?:left|right):([-\d.]+)%", attrs.get("style") or "") for attrs in page.all("i")]
    assert all(0 <= float(place) <= 100 for found in places for place in found)
    assert sum(map(len, places)) > 20


def test_checks_are_told_in_plain_words_with_their_figures(evidence, scores, abnormal):
    page = Page(render(evidence | {"checks": CHECKS}, scores, abnormal, []))
    for shown in (
        "Chosen on validation images: sharpness, lower in abnormal images.",
        "ranks better than the model",
        "51 normal, 131 abnormal",
        "A note.",
        "All 1 that were tried",
        "Not run: the data module has no reading of ours.",
        "In 88 abnormal images",
        "33 of 44",
        "2 of 44",
        "80 of 88",
        "0.700 (0.650 – 0.750)",
        "2 groups, 9 test images",
        "patient 7",
        "Siemens <7>",
        "gap −0.200 (−0.300 – −0.100)",
        "Of 4 images it is not known.",
        "Groups of the test that are elsewhere too: 2 in training (9 test images), 0 in validation (0 test images).",
    ):
        assert shown in page.text
    assert [attrs["class"] for attrs in page.all("span") if "marked" in (attrs.get("class") or "")] == [
        "range-of marked"
    ]
    order = [attrs["id"] for attrs in page.all("section") if attrs.get("id") in ("checks", "subgroups", "cases")]
    assert order == ["checks", "subgroups", "cases"]
    links = {attrs["href"] for attrs in page.all("a")}
    assert {"#checks", "#subgroups"} <= links


@pytest.mark.parametrize(
    ("low", "high", "number"), [(0.1, 0.2, "good"), (-0.1, 0.1, "bad"), (-0.2, -0.1, "bad"), (None, None, "unclear")]
)
def test_the_verdict_on_a_number_follows_the_paired_interval(low, high, number):
    assert state(baseline(low, high), "one_number") == number
    border = {"good": "unclear"}.get(number, "bad")  # the border tells, but less than the model
    assert state(baseline(low, high), "field_of_view") == border
    assert state(baseline(low, high, auroc=0.52), "field_of_view") == "good"


@pytest.mark.parametrize(("low", "high", "expected"), [(0.1, 0.2, "good"), (-0.1, 0.1, "bad"), (None, None, "unclear")])
def test_the_verdict_on_covering(low, high, expected):
    covered = {"auroc_random": {"value": 0.8}, "auroc_covered": {"value": 0.65, "low": 0.6, "high": 0.7}}
    found = {**CHECKS["covering"], **covered, "difference": {"value": 0.2, "low": low, "high": high}}
    assert state(found, "covering") == expected


def test_a_score_that_mostly_stays_without_the_lesion_is_no_good_verdict():
    covered = {"auroc_random": {"value": 0.8}, "auroc_covered": {"value": 0.77, "low": 0.7, "high": 0.8}}
    found = {**CHECKS["covering"], **covered, "difference": {"value": 0.03, "low": 0.01, "high": 0.05}}
    assert state(found, "covering") == "bad"


def test_a_number_that_was_not_chosen_but_ranks_as_well_is_named():
    row = {"name": "spread", "settled": True, "auroc": {"value": 0.9, "low": 0.8}, "difference": {"low": -0.1}}
    found = {**baseline(0.1, 0.2), "all": [{**row, "validation": 0.6, "test": 0.9, "direction": "high"}]}
    text = check_cards.check_cards({"one_number": found}, {"value": 0.8}, True)[0]
    assert text["state"] == "bad"
    assert "not shown to rank better than spread" in text["text"]


@pytest.mark.parametrize(("low", "expected"), [(-0.1, "bad"), (0.1, "unclear"), (None, "bad")])
def test_another_part_of_the_border_that_tells_the_classes_apart_is_named(low, expected):
    row = {"name": "border spread", "settled": True, "auroc": {"value": 0.9, "low": 0.8}, "difference": {"low": low}}
    found = {**baseline(0.1, 0.2, auroc=0.52), "all": [{**row, "validation": 0.6, "test": 0.9, "direction": "high"}]}
    said = check_cards.check_cards({"field_of_view": found}, {"value": 0.8}, True)[0]
    assert said["state"] == expected
    assert "but border spread does" in said["text"]


def test_no_verdict_says_the_reverse_of_its_title():
    said = check_cards.check_cards({"covering": CHECKS["covering"]}, {"value": 0.8}, True)[0]
    assert (said["title"], said["verdict"]) == ("Does the score come from the lesion?", "no objection")


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.45, 0.55, "good"), (0.51, 0.6, "bad"), (0.3, 0.4, "bad"), (None, None, "unclear")]
)
def test_the_verdict_on_overfitting(low, high, expected):
    assert state({"auroc": {"value": 0.5, "low": low, "high": high}}, "overfitting") == expected


def test_the_verdict_on_groups():
    none = {"shared": {"train": {"groups": 0, "images": 0}}, "test_groups": 3, "examples": []}
    assert state(none, "groups") == "good"
    assert state(none, "groups", groups_known=False) == "unclear"
    assert state(CHECKS["groups"], "groups") == "bad"


def test_checks_of_another_kind_and_empty_ones_are_shown_as_they_are():
    found = check_cards.check_cards(
        {"brightness": {"text": "Said.", "value": 0.25, "on": True}, "lost": None}, {}, True
    )
    assert found[0] | {"facts": None} == {
        "title": "Brightness", "state": "unclear", "verdict": "with care", "text": "Said.", "facts": None, "table": None,
    }  # fmt: skip
    assert found[0]["facts"] == [("value", "0.25"), ("on", "yes")]
    assert found[1]["state"] == "off"
    assert check_cards.subgroups({"reason": "no table"}) == []


def test_operating_points_of_the_past_are_listed(evidence, scores, abnormal):
    old = {"rule": "youden", "value": None, "question": "An old <question>?", "threshold": 0.00123}
    evidence["operating_point"]["history"] = [{**old, "until": "2026-11-22T10:00:00+00:00"}]
    page = Page(render(evidence, scores, abnormal, []))
    for shown in ("22 November 2026, 10:00 UTC", "youden", "0.00123", "An old <question>?"):
        assert shown in page.text
    assert "Exploratory: changed after the test." in page.text
    assert "The threshold was changed after the test" in page.text


def test_limits_and_intended_use_are_named(evidence, scores, abnormal):
    evidence["data"]["groups_known"] = False
    text = Page(render(evidence, scores, abnormal, [])).text
    for shown in (
        "Research use; not a medical device. Marks images",
        "one data set, WirelessCapsule",
        "70.0 % of the test images are abnormal",
        "Patients are not known",
        "Pixel figures are against these masks: Masks are ellipses.",
        "size 64, 96; intensity dtype",
    ):
        assert shown in text


def test_the_checklist_has_every_item_of_both_guidelines_once():
    items = [item for section in checklist.ITEMS.values() for item in section]
    claim = [item.claim for item in items if item.claim]
    assert sorted(claim, key=int) == [str(number) for number in range(1, 45)]
    stard = {number for item in items for number in item.stard.split(", ") if number}
    letters = {"15": "abcd", "16": "abc", "17": "ab", "26": "ab", "40": "ab"}
    assert stard == {f"{n}{letter}" for n in range(1, 41) for letter in letters.get(str(n), "") or [""]}


def test_the_checklist_says_what_the_run_knows_and_leaves_the_rest_to_the_authors(newer):
    def rows(evidence):
        return {row["ask"]: row for section in checklist.filled(completed(evidence)) for row in section["rows"]}

    full = rows(newer | {"checks": CHECKS})
    assert full["Software with versions"] | {"claim": "", "stard": ""} == {
        "claim": "", "stard": "", "ask": "Software with versions", "text": "medanomaly 0.1.0, anomalib 2.7.9", "state": "run",
    }  # fmt: skip
    assert full["Funding and the funders' role"]["state"] == "authors"
    assert full["Funding and the funders' role"]["text"] is None
    assert full["How the truth was established"]["state"] == "part"
    assert (
        "9 test images are of groups that are elsewhere too"
        in full["At which level the parts are disjoint (patient, study, image)"]["text"]
    )
    assert "scanner" in full["Demographic, clinical and technical features of each part"]["text"]
    bare = rows({"image": newer["image"]})
    assert bare["Software with versions"]["state"] == "authors"
    assert not any("None" in (row["text"] or "") for row in bare.values())


def test_a_threshold_by_hand_is_called_so(evidence):
    evidence["operating_point"] |= {"rule": "manual", "value": 0.0057}
    sections = checklist.filled(completed(evidence))
    texts = [row["text"] or "" for section in sections for row in section["rows"] if row["stard"] == "15c"]
    assert texts[0].endswith("Given by hand.")


@pytest.mark.parametrize("name", ["field_of_view", "one_number"])
def test_facts_of_a_baseline_add_up_and_say_which_images(name):
    check = {
        "name": "border mean",
        "direction": "high",
        "chosen_on": "validation",
        "auroc": {"value": 0.708, "low": 0.6, "high": 0.8},
        "difference": {"value": 0.158, "low": 0.1, "high": 0.2},
        "images": {"normal": 40, "abnormal": 12},
        "left_out": 7,
        "all": [],
    }
    (card,) = check_cards.check_cards({name: check}, figure(0.942), True)
    facts = dict(card["facts"])
    assert facts["AUROC of the model on the images looked at"] == "0.866"
    assert facts["images looked at"] == "40 normal, 12 abnormal; 7 test images left out"
    assert not any("0.942" in text for text in facts.values())
    (whole,) = check_cards.check_cards({name: check | {"left_out": 0}}, figure(0.942), True)
    assert dict(whole["facts"])["images looked at"] == "40 normal, 12 abnormal, the whole test"
    (older,) = check_cards.check_cards({name: {"name": "border mean", "auroc": {"value": 0.708}}}, figure(0.942), True)
    assert dict(older["facts"])["AUROC of the model on all test images"].startswith("0.942")
