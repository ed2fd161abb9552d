"""The worklist: scored as files come, most suspicious first; videos as one row; failures told, never dropped."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from tests.app.conftest import grey, hand_over, wait
from tests.imaging.dicom_files import write_dicom

from medanomaly.app.operating_curve import Point
from medanomaly.app.session.mark_store import Mark
from medanomaly.app.session.session_files import Files
from medanomaly.app.session.uploads import Limits
from medanomaly.app.session.worklist import Worklist
from medanomaly.app.session.worklist_rows import ABNORMAL, FAILED, NORMAL, UNMARKED, chosen, counts, rows
from medanomaly.app.viewer.video_segments import clock, segments, thinned
from medanomaly.edge import video
from medanomaly.imaging import ImageError


def movie(path, levels, rate=2):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (64, 48))
    for level in levels:
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    return path


def point_of(work, threshold=None):
    return Point.at(work.detector.decider, threshold)


def test_rows_are_sorted_by_suspicion(scored, tmp_path):
    work = scored(*(grey(tmp_path / f"{level}.png", level) for level in (40, 200, 120, 160)))
    found = rows(work.items, point_of(work), {})
    assert [row.name for row in found] == ["200.png", "160.png", "120.png", "40.png"]
    assert [row.abnormal for row in found] == [True, True, False, False]
    assert [work.detector(item.address).raw_score for item in work.items] == [item.raw_score for item in work.items]
    assert counts(found) == {"all": 4, "abnormal": 2, "normal": 2, "unmarked": 4, "unreadable": 0}


def test_a_moved_point_changes_decisions_and_not_the_order(scored, tmp_path):
    work = scored(*(grey(tmp_path / f"{level}.png", level) for level in (40, 200, 120, 160)))
    before, after = rows(work.items, point_of(work), {}), rows(work.items, point_of(work, 0.2), {})
    assert [row.name for row in before] == [row.name for row in after]
    assert (counts(before)["abnormal"], counts(after)["abnormal"]) == (2, 3)


def test_filters(scored, tmp_path):
    work = scored(*(grey(tmp_path / f"{level}.png", level) for level in (40, 200)))
    item = work.items[1]
    marks = {(item.name, item.file.sha256): Mark("agree", "", "abnormal", 0.8, 0.5)}
    found = rows(work.items, point_of(work), marks)
    assert [row.name for row in chosen(found, ABNORMAL)] == ["200.png"]
    assert [row.name for row in chosen(found, NORMAL)] == ["40.png"]
    assert [row.name for row in chosen(found, UNMARKED)] == ["40.png"]
    assert chosen(found, FAILED) == []


def test_what_comes_later_is_scored_too(scored, tmp_path):
    assert len(scored(grey(tmp_path / "a.png", 10)).items) == 1
    work = scored(grey(tmp_path / "b.png", 20), grey(tmp_path / "c.png", 30))
    assert [item.name for item in work.items] == ["a.png", "b.png", "c.png"]
    assert work.progress == (3, 3)


def test_an_image_that_fails_only_when_it_is_read_is_a_row_at_the_end(scored, tmp_path):
    good = grey(tmp_path / "good.png", 10)
    broken = tmp_path / "broken.jpg"
    grey(broken, 99, (200, 200))
    broken.write_bytes(broken.read_bytes()[:-200] + b"\xff\xd9")
    float_tiff = tmp_path / "wide.tif"
    cv2.imwrite(str(float_tiff), np.linspace(-1000, 1000, 400, dtype=np.float32).reshape(20, 20))
    work = scored(float_tiff, good, broken)
    found = rows(work.items, point_of(work), {})
    assert found[-1].name == "wide.tif"
    assert "leave [0, 1]" in found[-1].item.error
    assert str(work.files.accepted[0].path) not in found[-1].item.error
    assert any(row.name == "good.png" and row.score is not None for row in found)


def test_frames_of_a_dicom_are_rows_of_their_own(scored, tmp_path):
    pixels = np.stack([np.full((30, 30), level, np.uint16) for level in (1000, 60000)])
    write_dicom(tmp_path / "study.dcm", pixels, 16, NumberOfFrames=2)
    work = scored(tmp_path / "study.dcm")
    found = rows(work.items, point_of(work), {})
    assert [row.name for row in found] == ["study.dcm#frame=2", "study.dcm#frame=1"]
    assert [row.abnormal for row in found] == [True, False]


def test_a_video_is_one_row_with_segments(scored, tmp_path):
    levels = [20] * 6 + [220] * 3 + [20] * 10 + [180] * 2 + [20] * 3
    work = scored(movie(tmp_path / "study.avi", levels), grey(tmp_path / "bright.png", 250))
    point = point_of(work)
    found = rows(work.items, point, {})
    assert [row.name for row in found] == ["bright.png", "study.avi"]
    row = found[1]
    assert (len(row.frames), row.flagged) == (24, 5)
    assert row.item.frame in (7, 8, 9)
    parts = segments(row.frames, point)
    assert [(part.first.frame, part.last.frame, part.flagged) for part in parts] == [(7, 9, 3), (20, 21, 2)]
    assert work.progress == (25, 25)
    seen = video.frame_at(str(row.item.file.path), 20)
    assert seen.mean() == pytest.approx(180, abs=3)


def test_a_broken_video_is_told(scored, tmp_path):
    whole = movie(tmp_path / "study.avi", [20] * 30)
    (tmp_path / "half.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    work = scored(tmp_path / "half.avi")
    assert any(item.error for item in work.items)


def test_a_long_video_is_drawn_with_few_points_and_keeps_its_peaks(scored, tmp_path):
    work = scored(movie(tmp_path / "study.avi", [20] * 150 + [230] + [20] * 150))
    row = rows(work.items, point_of(work), {})[0]
    drawn = thinned(row.frames, point_of(work), columns=20)
    assert len(drawn) <= 40
    assert 151 in [frame.frame for frame in drawn]
    assert [frame.number for frame in drawn] == sorted(frame.number for frame in drawn)


def test_clock():
    assert [clock(seconds) for seconds in (0, 9.96, 75.25, 3661)] == ["0:00.0", "0:10.0", "1:15.2", "1:01:01.0"]


def test_files_are_scored_while_others_are_on_their_way(loaded, tmp_path):
    (tmp_path / "session").mkdir()
    files = Files(tmp_path / "session", Limits())
    files.expect(2)
    work = Worklist(loaded.detector, files)
    hand_over(files, grey(tmp_path / "a.png", 10))
    work.score()
    wait(lambda: len(work.items) == 1)
    assert work.busy
    assert work.progress == (1, 2)
    files.expect(0)
    wait(lambda: not work.busy)
    files.close()
    work.close()


def test_files_that_were_announced_and_never_come_are_not_waited_for_without_end(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr("medanomaly.app.session.session_files.PATIENCE", 0.2)
    (tmp_path / "session").mkdir()
    files = Files(tmp_path / "session", Limits())
    files.expect(3)
    work = Worklist(loaded.detector, files)
    hand_over(files, grey(tmp_path / "a.png", 10))
    work.score()
    wait(lambda: not work.busy)
    hand_over(files, grey(tmp_path / "late.png", 20))
    work.score()
    wait(lambda: len(work.items) == 2)
    files.close()
    work.close()


def test_closing_is_quick_and_leaves_no_thread(loaded, tmp_path):
    (tmp_path / "session").mkdir()
    files = Files(tmp_path / "session", Limits())
    work = Worklist(loaded.detector, files)
    hand_over(files, movie(tmp_path / "study.avi", [20] * 2000))
    work.score()
    wait(lambda: work.items)
    start = time.monotonic()
    files.close()
    work.close()
    assert time.monotonic() - start < 5
    assert not work.busy or work.files.waiting == 0
    work.score()
    assert len(work.items) < 2000


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v")])
def test_a_frame_is_found_again_as_it_was_scored(tmp_path, suffix, codec):
    path = str(tmp_path / f"study{suffix}")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*codec), 3, (64, 48))
    for level in range(0, 250, 5):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    assert video.declared_frames(path) == 50
    given = list(video.frames(path))
    for number in (1, 2, 17, 33, 50):
        np.testing.assert_array_equal(video.frame_at(path, number), given[number - 1].pixels)
    with pytest.raises(ImageError, match="frame=51"):
        video.frame_at(path, 51)
