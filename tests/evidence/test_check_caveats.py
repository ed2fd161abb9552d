"""What the checks find is said in words, and nothing where there is nothing to say."""

from __future__ import annotations

from medanomaly.evidence.check_caveats import (
    CHECK_CAVEATS,
    SPLIT_CAVEATS,
    field_of_view,
    groups,
    occlusion,
    overfitting,
    shortcut,
    subgroups,
)
from medanomaly.report import check_cards


def figure(value, low=None, high=None, **more):
    return {"value": value, "low": low, "high": high, **more}


def row(name, auroc, low, difference, settled=True, direction="high"):
    return {
        "name": name,
        "validation": 0.9,
        "test": auroc,
        "direction": direction,
        "settled": settled,
        "auroc": figure(auroc, low, auroc + 0.02),
        "difference": figure(*difference),
    }


def baseline(rows, chosen_on="validation", view="none"):
    check = {"chosen_on": chosen_on, "note": "", "left_out": 0, "all": rows}
    check |= {key: rows[0][key] for key in ("name", "direction", "auroc", "difference")}
    return {"data": {"reading": {"field_of_view": view}}, "checks": {"one_number": check, "field_of_view": check}}


BEATEN, EQUAL, BETTER = (0.1, 0.05, 0.15), (0.01, -0.02, 0.04), (-0.2, -0.25, -0.15)


def test_rivals_are_named_best_first_with_the_verdict():
    rows = [row("redness", 0.87, 0.85, EQUAL), row("spread", 0.7, 0.6, BEATEN), row("sharpness", 0.94, 0.92, BETTER)]
    found = shortcut(baseline(rows))
    assert found["severity"] == "warning"
    assert found["title"] == "One image statistic ranks as well as the model: sharpness and redness"
    assert "AUROC of 0.940" in found["text"]
    assert "the model minus it −0.200 (95 % interval −0.250 to −0.150)" in found["text"]
    assert "crop:N" in found["text"]
    assert "crop:N" not in shortcut(baseline(rows, view="crop:0.67"))["text"]
    assert "better than" in shortcut(baseline(rows[2:]))["title"]


def test_what_a_rival_measures_is_offered_as_input_unless_it_is_the_input():
    evidence = baseline([row("local contrast", 0.9, 0.88, EQUAL), row("redness", 0.87, 0.85, EQUAL)])
    assert "data.init_args.intensity haemoglobin or contrast:7" in shortcut(evidence)["text"]
    evidence["data"]["reading"]["intensity"] = "contrast:5"
    assert "try data.init_args.intensity haemoglobin, and" in shortcut(evidence)["text"]
    assert "init_args.intensity" not in shortcut(baseline([row("mean", 0.9, 0.88, EQUAL)]))["text"]


def test_a_number_whose_direction_validation_does_not_support_is_no_rival():
    rows = [row("redness", 0.9, 0.88, BEATEN), row("sharpness", 0.94, 0.92, BETTER, settled=False)]
    found = shortcut(baseline(rows))
    assert (found["severity"], found["title"]) == ("note", "The model beats the best image statistic, redness")


def test_a_number_that_is_better_but_unsettled_is_not_called_beaten():
    found = shortcut(baseline([row("sharpness", 0.94, 0.92, BETTER, settled=False)]))
    assert found["title"] == "Whether the model beats the best image statistic, sharpness, is open"
    assert "do not settle which way round" in found["text"]


def test_a_number_picked_on_test_is_called_so():
    rows = [row("redness", 0.9, 0.88, BETTER, settled=None)]
    assert "picked on these test images" in shortcut(baseline(rows, "test"))["text"]


def test_numbers_at_chance_and_undefined_ones_are_not_worth_a_word():
    assert shortcut(baseline([row("mean", 0.55, 0.48, EQUAL)])) is None
    undefined = baseline([{**row("mean", 0.9, 0.8, EQUAL), "auroc": figure(0.9), "difference": figure(0.0)}])
    assert shortcut(undefined) is None
    assert field_of_view(undefined) is None


def test_the_border_is_a_warning_where_it_does_as_well_and_a_note_where_not():
    assert field_of_view(baseline([row("border mean", 0.8, 0.75, EQUAL)]))["severity"] == "warning"
    assert field_of_view(baseline([row("border mean", 0.8, 0.75, BEATEN)]))["severity"] == "note"
    assert field_of_view(baseline([row("border mean", 0.62, 0.55, EQUAL)])) is None


def test_what_is_clearly_worse_than_the_model_is_not_said_to_rank_as_well():
    rows = [row("border mean", 0.9, 0.85, BEATEN), row("border spread", 0.8, 0.75, EQUAL)]
    found = field_of_view(baseline(rows))
    assert found["title"] == "The border alone ranks as well as the model"
    assert "rank the test images: Border spread, high in abnormal images" in found["text"]
    assert "+0.100" not in found["text"]
    assert "Less well than the model does border mean. " in found["text"]
    beaten = field_of_view(baseline([rows[0], row("border darkness", 0.7, 0.65, BEATEN)]))
    assert beaten["title"] == "The border tells the classes apart, less well than the model"
    assert "Border mean" in beaten["text"]
    assert "Border darkness" in beaten["text"]
    assert "Less well than the model do" not in beaten["text"]


def cover(difference, covered=(0.55, 0.5, 0.6)):
    check = {
        "images": 40, "flagged": 30, "flips_back": 20, "random_flips_back": 3, "threshold": 0.5, "lower": 35,
        "auroc": figure(0.9), "auroc_covered": figure(*covered), "auroc_random": figure(0.88),
        "difference": figure(*difference), "no_control": 2, "too_large": 0, "empty": 0, "of": 42,
    }  # fmt: skip
    return {"checks": {"covering": check}}


def test_occlusion_gives_a_verdict_either_way():
    falls = occlusion(cover((0.33, 0.25, 0.4)))
    assert (falls["severity"], falls["title"]) == ("note", "The score falls when the lesion is covered")
    assert "20 pass with the lesion covered, 3 with the other region" in falls["text"]
    assert "Left out: 2 with no place" in falls["text"]
    partly = occlusion(cover((0.1, 0.05, 0.15), (0.78, 0.75, 0.81)))
    assert (partly["severity"], "most of it stays" in partly["title"]) == ("warning", True)
    assert "something else gives the class away" in partly["text"]
    stays = occlusion(cover((0.01, -0.01, 0.03)))
    assert (stays["severity"], stays["title"]) == ("warning", "The score does not fall when the lesion is covered")
    assert "even rises" in occlusion(cover((-0.1, -0.2, -0.05)))["text"]
    assert "open" in occlusion(cover((0.0, None, None)))["title"]


def filled(check, difference, covered=(0.55, 0.5, 0.6), own=(0.5, 0.45, 0.55)):
    part = {
        "images": 33, "auroc": figure(*own), "auroc_covered": figure(*covered), "auroc_random": figure(0.87),
        "difference": figure(*difference), "passed": 30, "flagged": 2,
    }  # fmt: skip
    return {"checks": {"covering": {**check["checks"]["covering"], "filled": part}}}


def test_the_comparison_with_both_classes_filled_decides():
    held_up = cover((0.01, -0.01, 0.03), (0.88, 0.85, 0.9))  # by a trace of the fill
    assert occlusion(held_up)["severity"] == "warning"
    falls = occlusion(filled(held_up, (0.32, 0.25, 0.4), own=(0.9, 0.85, 0.95)))
    assert (falls["severity"], falls["title"]) == ("note", "The score falls when the lesion is covered")
    for said in (
        "against normal images as they are, AUROC goes from 0.900 to 0.880",
        "With a region of equal shape elsewhere filled instead it is 0.880; the difference is +0.010",
        "Against 33 normal images that were filled likewise, at the places of these masks, it is 0.550 with the lesion",
        "and 0.870 with the other region filled: a difference of +0.320 (95 % interval +0.250 to +0.400)",
        "The fill itself raises scores: filled normal images against the same as they are have an AUROC of 0.900",
    ):
        assert said in falls["text"]
    apparent = cover((0.33, 0.25, 0.4))
    stays = occlusion(filled(apparent, (0.01, -0.02, 0.04), own=(0.3, 0.2, 0.4)))
    assert (stays["severity"], stays["title"]) == ("warning", "The score does not fall when the lesion is covered")
    assert "The fill itself lowers scores" in stays["text"]
    partly = occlusion(filled(apparent, (0.1, 0.05, 0.15), (0.77, 0.74, 0.8)))
    assert "most of it stays" in partly["title"]
    assert "still rank above chance, 0.770" in partly["text"]
    assert "not shown that the fill itself moves scores" in partly["text"]


def test_a_fill_that_was_not_compared_is_said():
    before = cover((0.33, 0.25, 0.4))
    assert (
        "filled likewise were not compared: a trace of the fill itself would go unnoticed" in occlusion(before)["text"]
    )
    before["checks"]["covering"]["filled"] = {"reason": "no normal image could be filled"}
    assert "not compared (no normal image could be filled)" in occlusion(before)["text"]
    assert check_cards.check_cards(before["checks"], figure(0.9), True)[0]["state"] == "good"


def test_the_page_shows_all_three_and_the_same_verdict_as_the_caveat():
    held_up = filled(cover((0.01, -0.01, 0.03), (0.88, 0.85, 0.9)), (0.32, 0.25, 0.4), own=(0.9, 0.85, 0.95))
    told = check_cards.check_cards(held_up["checks"], figure(0.9), True)[0]
    assert told["state"] == "good"
    assert "Filling alone raises the scores of normal images" in told["text"]
    facts = dict(told["facts"])
    assert facts["with the lesion covered"].startswith("0.880")
    assert facts["against 33 normal images filled likewise, with the lesion covered"].startswith("0.550")
    assert facts["likewise, with an equal region elsewhere covered"].startswith("0.870")
    assert facts["the latter minus the former, which decides"].startswith("+0.320")
    assert facts["of these, normal images that pass, but are flagged once filled"] == "2 of 30"
    falls = check_cards.check_cards(filled(held_up, (0.01, -0.02, 0.04))["checks"], figure(0.9), True)[0]
    assert falls["state"] == "bad"


def test_overfitting_groups_and_subgroups():
    def split(value, low, high):
        return {"checks": {"overfitting": {"auroc": figure(value, low, high), "training": 5, "validation": 6}}}

    assert overfitting(split(0.9, 0.8, 0.95))["title"] == "The model knows its training images"
    assert "more normal" in overfitting(split(0.2, 0.1, 0.3))["title"]
    assert overfitting(split(0.55, 0.45, 0.65)) is None
    none = {"groups": 0, "images": 0}
    record = {"shared": {"train": {"groups": 1, "images": 4}, "val": none}, "test_groups": 9, "examples": ["p1"]}
    assert "4 test images are of 1 groups in training" in groups({"checks": {"groups": record}})["text"]
    assert groups({"checks": {"groups": {**record, "shared": {"train": none, "val": none}}}}) is None
    level = {
        "level": "ap",
        "sensitivity": figure(0.4, 0.3, 0.5),
        "gap": {"sensitivity": figure(-0.3, -0.4, -0.2, marked=True)},
    }
    found = subgroups({"checks": {"subgroups": {"columns": [{"column": "view", "levels": [level]}], "threshold": 1}}})
    assert "view ap: sensitivity 0.400, −0.300 (95 % interval −0.400 to −0.200) against the rest" in found["text"]


def test_checks_that_were_not_made_say_nothing():
    for evidence in ({}, {"checks": None}, {"checks": {}}):
        assert [check(evidence) for check in CHECK_CAVEATS] == [None] * len(CHECK_CAVEATS)
    names = ("shared_images", "one_number", "field_of_view", "covering", "overfitting", "groups", "subgroups")
    failed = {"checks": {name: {"reason": "no masks are known"} for name in names}}
    every = (*SPLIT_CAVEATS, *CHECK_CAVEATS)
    assert [check(failed) for check in every] == [None] * len(every)
