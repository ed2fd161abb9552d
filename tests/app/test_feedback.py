"""The export: a record for each image, marked or not, with the bundle's hash and the time."""

from __future__ import annotations

import csv
import io
import json

from tests.app.conftest import grey

from medanomaly.app.feedback import COLUMNS, as_csv, as_lines, records
from medanomaly.app.operating import Point
from medanomaly.app.store import Mark


def test_the_file_holds_every_image(scored, loaded, tmp_path):
    work = scored(grey(tmp_path / "=cmd.png", 200), grey(tmp_path / "b.png", 20))
    item = work.items[0]
    marks = {
        (item.name, item.file.sha256): Mark(
            "disagree", "no\nlesion", "abnormal", 0.78, 0.5, "2026-01-01T00:00:00+00:00"
        )
    }
    found = records(work.items, loaded, Point.at(loaded.detector.decider, 0.9), marks)
    lines = [json.loads(line) for line in as_lines(found).splitlines()]
    assert [line["name"] for line in lines] == ["=cmd.png", "b.png"]
    assert (lines[0]["mark"], lines[0]["note"], lines[1]["mark"]) == ("disagree", "no\nlesion", None)
    assert (lines[0]["decision"], lines[0]["decision_when_marked"]) == ("normal", "abnormal")
    assert (lines[0]["point"], lines[0]["threshold"]) == ("moved", lines[1]["threshold"])
    assert {line["bundle_sha256"] for line in lines} == {loaded.hash}
    assert all(line["exported_at"].endswith("+00:00") for line in lines)
    table = list(csv.DictReader(io.StringIO(as_csv(found).decode("utf-8-sig"))))
    assert tuple(table[0]) == COLUMNS
    assert table[0]["name"] == "'=cmd.png"
    assert table[1]["mark"] == ""
    assert table[0]["sha256"] == item.file.sha256
