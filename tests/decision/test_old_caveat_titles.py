"""A title that said the reverse is read with its meaning, wherever an earlier version left it."""

from __future__ import annotations

import json

from tests.report_parts import Page, evidence_record

from medanomaly.decision.old_caveat_titles import as_meant, meant
from medanomaly.edge.bundle import CARD, FORMAT, SCHEMA, read_card
from medanomaly.report.page import render

OLD, NEW = "No better than chance can be ruled out", "Chance cannot be ruled out"
TEXT = "AUROC is 0.520: the interval contains 0.5."


def old() -> dict[str, str]:
    return {"severity": "warning", "title": OLD, "text": TEXT}


def test_a_card_of_before_is_read_with_the_meaning(tmp_path):
    other = {"severity": "note", "title": "Few groups", "text": OLD}
    card = {"format": FORMAT, "schema": SCHEMA, "caveats": [old(), other]}
    (tmp_path / CARD).write_text(json.dumps(card))
    assert read_card(tmp_path)["caveats"] == [{**old(), "title": NEW}, other]


def test_the_report_of_a_run_of_before_shows_the_meaning(scores, abnormal):
    evidence = {**evidence_record(), "caveats": [old()]}
    text = Page(render(evidence, scores, abnormal, [])).text
    assert NEW in text
    assert OLD not in text
    assert evidence["caveats"] == [old()]  # the record itself stays as it was written


def test_what_is_no_caveat_stays_as_it_is(tmp_path):
    for odd in (None, "none", {"title": OLD}, [], [OLD, None, {"title": None}, {"text": ""}]):
        assert as_meant(odd) == odd
    assert meant("The score is inverted") == "The score is inverted"
    (tmp_path / CARD).write_text(json.dumps({"format": FORMAT, "schema": SCHEMA}))
    assert "caveats" not in read_card(tmp_path)
