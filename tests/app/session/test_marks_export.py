"""The export: a record for each image, marked or not, with the bundle's hash and the time."""

from __future__ import annotations

import csv
import io
import json

from tests.app.conftest import grey

from medanomaly.app.operating_curve import Point
from medanomaly.app.session.mark_store import Mark
from medanomaly.app.session.marks_export import COLUMNS, agreement_csv, as_csv, as_lines, records
from medanomaly.app.session.reader_pairs import agreements


def test_the_file_holds_every_image(scored, loaded, tmp_path):
    work = scored(grey(tmp_path / "=cmd.png", 200), grey(tmp_path / "b.png", 20))
    item = work.items[0]
    marks = {
        (item.name, item.file.sha256): {
            "KR": Mark("disagree", "no\nlesion", "abnormal", 0.78, 0.5, "2026-01-01T00:00:00+00:00")
        }
    }
    found = records(work.items, loaded, Point.at(loaded.detector.decider, 0.9), marks, "KR")
    lines = [json.loads(line) for line in as_lines(found).splitlines()]
    assert [line["name"] for line in lines] == ["=cmd.png", "b.png"]
    assert (lines[0]["mark"], lines[0]["note"], lines[1]["mark"]) == ("disagree", "no\nlesion", None)
    assert [line["reader"] for line in lines] == ["KR", ""]
    assert (lines[0]["decision"], lines[0]["decision_when_marked"]) == ("normal", "abnormal")
    assert (lines[0]["point"], lines[0]["threshold"]) == ("moved", lines[1]["threshold"])
    assert {line["bundle_sha256"] for line in lines} == {loaded.hash}
    assert all(line["exported_at"].endswith("+00:00") for line in lines)
    table = list(csv.DictReader(io.StringIO(as_csv(found).decode("utf-8-sig"))))
    assert tuple(table[0]) == COLUMNS
    assert table[0]["name"] == "'=cmd.png"
    assert table[1]["mark"] == ""
    assert table[0]["sha256"] == item.file.sha256


def test_each_readers_mark_has_a_record_of_its_own(scored, loaded, tmp_path):
    work = scored(grey(tmp_path / "a.png", 200))
    item = work.items[0]
    by = {"AB": Mark("agree", "", "abnormal", 0.78, 0.5), "KR": Mark("unsure", "x", "abnormal", 0.78, 0.5)}
    found = records(
        work.items, loaded, Point.at(loaded.detector.decider, None), {(item.name, item.file.sha256): by}, "KR"
    )
    assert [(one["reader"], one["mark"]) for one in found] == [("KR", "unsure"), ("AB", "agree")]
    assert list(csv.DictReader(io.StringIO(as_csv(found).decode("utf-8-sig"))))[1]["reader"] == "AB"


def test_the_agreement_names_readers_images_and_method(loaded):
    both = {"AB": Mark("agree", "", "abnormal", 0.7, 0.5), "=KR": Mark("agree", "", "abnormal", 0.7, 0.5)}
    found = agreement_csv(agreements({("a.png", "s"): both}), loaded, "AB")
    row = next(csv.DictReader(io.StringIO(found.decode("utf-8-sig"))))
    assert (row["reader_1"], row["reader_2"], row["images"], row["same"], row["kappa"]) == ("'=KR", "AB", "1", "1", "")
    assert "Fleiss" in row["method"]


def test_without_a_second_reader_the_file_says_why_there_is_no_agreement(loaded):
    one = {("a.png", "s"): {"AB": Mark("agree", "", "abnormal", 0.7, 0.5)}}
    assert agreement_csv(agreements(one), loaded, "AB").decode("utf-8-sig") == (
        "No agreement yet. No other reader has marked an image that you have marked.\r\n"
    )
    assert agreement_csv([], loaded, None).decode("utf-8-sig") == "No agreement yet. Say who reads first.\r\n"
