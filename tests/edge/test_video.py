"""Videos: every n-th frame, in order, with a timeline; broken ones are records."""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from tests.edge.conftest import records

from medanomaly.edge import Failure, Frame, video
from medanomaly.edge.batch import timeline
from medanomaly.edge.batch.infer_inputs import Options, infer

FRAMES, RATE = 50, 25


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Fifty frames of two seconds, each a little brighter, in red: a swapped channel would show."""
    path = tmp_path_factory.mktemp("video") / "study.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), RATE, (48, 32))
    assert writer.isOpened()
    for i in range(FRAMES):
        frame = np.full((32, 48, 3), 5 * i, np.uint8)
        frame[:, :, 0] = 0
        writer.write(frame)
    writer.release()
    return path


def test_every_nth_frame_with_its_time(study):
    found = list(video.frames(str(study), every=20))
    assert [frame.name for frame in found] == [f"{study}#frame={number}" for number in (1, 21, 41)]
    assert [frame.time for frame in found] == pytest.approx([0, 0.8, 1.6], abs=0.05)
    assert isinstance(found[2], Frame)
    np.testing.assert_allclose(found[2].pixels.mean(axis=(0, 1)), [200, 200, 0], atol=6)
    assert len(list(video.frames(str(study), every=1000))) == 1


def test_records_and_timeline_of_a_video(drawn_bundle, study, tmp_path):
    out = tmp_path / "out"
    summary = infer(drawn_bundle, [study], out, Options(every=2))
    found = records(out)
    assert (summary.scored, len(found)) == (25, 25)
    assert found[3]["input"] == f"{study}#frame=7"
    assert found[3]["time"] == pytest.approx(0.24, abs=0.05)
    rows = list(csv.DictReader((out / "timelines" / "000000-study.csv").open()))
    assert tuple(rows[0]) == timeline.COLUMNS
    assert [int(row["frame"]) for row in rows] == list(range(1, 50, 2))
    assert [float(row["score"]) for row in rows] == [record["score"] for record in found]
    chart = (out / "timelines" / "000000-study.svg").read_text()
    assert ElementTree.fromstring(chart).tag.endswith("svg")
    assert f"{summary.flagged} of 25 frames flagged" in chart


def test_a_video_is_resumed_within(drawn_bundle, study, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    infer(drawn_bundle, [study], whole, Options(every=3))
    infer(drawn_bundle, [study], out, Options(every=3))
    lines = (out / "results.jsonl").read_bytes().splitlines(keepends=True)
    (out / "results.jsonl").write_bytes(b"".join(lines[:7]) + lines[7][:20])
    (out / "timelines" / "000000-study.csv").unlink()
    summary = infer(drawn_bundle, [study], out, Options(every=3, resume=True))
    assert (summary.before, summary.scored) == (7, 10)
    assert [record["input"] for record in records(out)] == [record["input"] for record in records(whole)]
    name = "timelines/000000-study.csv"
    assert (out / name).read_text() == (whole / name).read_text()


def test_broken_videos_are_records(drawn_bundle, study, tmp_path, capfd):
    (tmp_path / "text.mp4").write_text("I am no video")
    (tmp_path / "empty.avi").touch()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(study.read_bytes()[: study.stat().st_size * 7 // 10])
    inputs = [tmp_path / "text.mp4", tmp_path / "missing.mp4", tmp_path / "empty.avi", cut]
    out = tmp_path / "out"
    infer(drawn_bundle, inputs, out)
    found = records(out)
    failed = {record["input"]: record["error"] for record in found if record["status"] == "failed"}
    assert "cannot be opened as a video" in failed[str(inputs[0])]
    assert "does not exist" in failed[str(inputs[1])]
    assert str(inputs[2]) in failed
    assert sum(record["status"] == "ok" for record in found) > 20
    assert "breaks off here, of 50 declared frames" in found[-1]["error"]
    assert capfd.readouterr().err == ""
    again = infer(drawn_bundle, inputs, out, Options(resume=True))
    assert (again.scored, again.failed) == (0, 0)
    assert len(records(out)) == len(found)


def test_a_frame_that_cannot_be_decoded_is_a_failure_of_its_own(study, monkeypatch):
    class Faulty:
        def __init__(self, path: str) -> None:
            self.capture, self.number = cv2_capture(path), 0

        def retrieve(self):
            self.number += 1
            return (False, None) if self.number == 2 else self.capture.retrieve()

        def __getattr__(self, name):
            return getattr(self.capture, name)

    cv2_capture = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", Faulty)
    found = list(video.frames(str(study), every=20))
    assert [isinstance(frame, Failure) for frame in found] == [False, True, False]
    assert "#frame=21: cannot be decoded" in found[1].error


def test_the_chart_of_a_long_study_stays_small(tmp_path):
    record = {"status": "ok", "raw_score": 0.1, "decision": "normal"}
    rows = [timeline.Row(i + 1, i / 2, {**record, "score": (i % 100) / 100}) for i in range(60_000)]
    rows[30_000] = timeline.Row(30_001, 15_000, {"status": "failed"})
    chart = timeline.chart(rows, "<capsule> & more")
    assert len(chart) < 60_000
    assert "&lt;capsule&gt; &amp; more: 0 of 60000" in chart
    assert "8:20:00" in chart
    ElementTree.fromstring(chart)
    ElementTree.fromstring(timeline.chart([rows[30_000]], "failed alone"))


@pytest.mark.parametrize("lacking", [1, 2])
def test_a_short_video_that_ends_early_is_not_whole(study, tmp_path, lacking):
    """A file cut within its last frames."""
    data = study.read_bytes()
    starts = [place for place in range(data.rindex(b"idx1")) if data.startswith(b"00dc", place)]
    cut = tmp_path / "cut.avi"
    cut.write_bytes(data[: starts[-lacking]])
    *good, last = video.frames(str(cut))
    assert len(good) == FRAMES - lacking
    assert isinstance(last, Failure)
    assert f"#frame={FRAMES - lacking + 1}: the video breaks off here" in last.error
    assert all(isinstance(frame, Frame) for frame in video.frames(str(study)))
