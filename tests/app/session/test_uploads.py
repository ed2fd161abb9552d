"""Intake: known kinds only, by content; limits; zip files with mistrust; nothing outside the session's folder."""

from __future__ import annotations

import io
import pickle
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.app.conftest import grey
from tests.conftest import write_image
from tests.imaging.dicom_files import write_dicom

from medanomaly.app.session.uploads import Accepted, Intake, Limits, Refused, shown


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "session").mkdir()
    return tmp_path / "session"


def take(intake: Intake, name: str, data: bytes) -> list[Accepted | Refused]:
    received = intake.folder / "received"
    received.write_bytes(data)
    found = list(intake.take(name, received))
    assert not received.exists()
    assert not (intake.folder / "unpacked").exists()
    return found


def only(found: list[Accepted | Refused]) -> Accepted | Refused:
    assert len(found) == 1
    return found[0]


def png(tmp_path: Path, level: int = 100) -> bytes:
    return grey(tmp_path / f"{level}.png", level).read_bytes()


def zipped(**files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".ppm"])
def test_a_kind_is_told_by_content_whatever_the_name(folder, tmp_path, suffix):
    data = grey(tmp_path / f"image{suffix}", 90).read_bytes()
    found = only(take(Intake(folder), "report.exe", data))
    assert isinstance(found, Accepted)
    assert found.path.parent == folder
    assert found.path.read_bytes() == data
    assert found.addresses == (str(found.path),)


def test_each_frame_of_a_dicom_has_an_address(folder, tmp_path):
    pixels = np.arange(3 * 40 * 40, dtype=np.uint16).reshape(3, 40, 40)
    write_dicom(tmp_path / "a", pixels, 16, NumberOfFrames=3)
    found = only(take(Intake(folder), "IM0001", (tmp_path / "a").read_bytes()))
    assert isinstance(found, Accepted)
    assert [address.rsplit("#")[1] for address in found.addresses] == ["frame=1", "frame=2", "frame=3"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (pickle.dumps({"a": 1}), "pickle, which can run code"),
        (pickle.dumps([1], protocol=0), "no known kind"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no known kind"),
        (b"#EXTM3U\nhttp://127.0.0.1/secret.ts", "no known kind"),
        (b"ffconcat version 1.0\nfile /etc/passwd", "no known kind"),
        (b"\x7fELF" + b"\0" * 300, "is a program"),
        (b"%PDF-1.7", "PDF"),
        (b"\x93NUMPY\x01\x00", "NumPy"),
        (b"\x1f\x8b\x08", "gzip"),
    ],
)
def test_what_is_no_image_is_refused_with_a_reason(folder, data, reason):
    found = only(take(Intake(folder), "frame.png", data))
    assert isinstance(found, Refused)
    assert reason in found.reason
    assert list(folder.iterdir()) == []


def test_a_torch_checkpoint_is_a_zip_of_a_pickle(folder):
    found = only(take(Intake(folder), "weights.pt", zipped(**{"archive/data.pkl": pickle.dumps({"a": 1})})))
    assert isinstance(found, Refused)
    assert "pickle" in found.reason


def test_a_damaged_image_is_refused_without_its_path(folder, tmp_path):
    found = only(take(Intake(folder), "half.png", png(tmp_path)[:60]))
    assert isinstance(found, Refused)
    assert "truncated" in found.reason or "ends" in found.reason
    assert str(folder) not in found.reason
    assert list(folder.iterdir()) == []


def test_a_small_file_that_declares_a_huge_picture_is_refused(folder):
    found = only(take(Intake(folder), "huge.pgm", b"P5\n60000 60000\n255\n" + b"\0" * 100))
    assert isinstance(found, Refused)
    assert "pixels" in found.reason or "truncated" in found.reason


def test_a_zip_is_unpacked_under_our_own_names(folder, tmp_path):
    intake = Intake(folder)
    data = zipped(**{"study/a.png": png(tmp_path, 10), "study/b.txt": b"hello", "__MACOSX/._a.png": b"x", "c/": b""})
    found = take(intake, "study.zip", data)
    assert [type(one) for one in found] == [Accepted, Refused]
    assert [one.name for one in found] == ["study.zip/study/a.png", "study.zip/study/b.txt"]
    assert [path.name for path in folder.iterdir()] == ["000000.png"]


@pytest.mark.parametrize(
    "name", ["../../evil.png", "/etc/cron.d/evil.png", "..\\evil.png", "C:\\evil.png", "a/../../b.png"]
)
def test_paths_that_lead_out_are_refused(folder, tmp_path, name):
    before = set(tmp_path.rglob("*"))
    found = only(take(Intake(folder), "tricks.zip", zipped(**{name: png(tmp_path)})))
    assert isinstance(found, Refused)
    assert "leads out" in found.reason
    assert set(tmp_path.rglob("*")) - before <= {tmp_path / "100.png"}


def test_links_are_refused(folder):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        entry = zipfile.ZipInfo("link.png")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    found = only(take(Intake(folder), "links.zip", data.getvalue()))
    assert isinstance(found, Refused)
    assert "link" in found.reason


def test_a_zip_bomb_is_refused_before_it_is_unpacked(folder):
    found = only(take(Intake(folder), "bomb.zip", zipped(**{"a.png": b"\0" * 20_000_000})))
    assert isinstance(found, Refused)
    assert "bomb" in found.reason


def test_a_zip_that_lies_about_its_size_is_refused(folder):
    data = bytearray(zipped(**{"a.png": b"\0" * 900_000}))
    for place in (data.find(b"PK\x01\x02") + 24, data.find(b"PK\x03\x04") + 22):
        data[place : place + 4] = (10).to_bytes(4, "little")
    found = only(take(Intake(folder), "liar.zip", bytes(data)))
    assert isinstance(found, Refused)
    assert list(folder.iterdir()) == []


def test_a_zip_within_a_zip_is_refused(folder, tmp_path):
    found = only(take(Intake(folder), "outer.zip", zipped(**{"inner.zip": zipped(**{"a.png": png(tmp_path)})})))
    assert isinstance(found, Refused)
    assert "within a zip" in found.reason


def test_a_damaged_zip_is_refused(folder, tmp_path):
    found = only(take(Intake(folder), "half.zip", zipped(**{"a.png": png(tmp_path)})[:-30]))
    assert isinstance(found, Refused)
    assert "damaged zip" in found.reason


def test_limits_hold(folder, tmp_path):
    image = png(tmp_path)
    intake = Intake(folder, Limits(files=1))
    assert isinstance(only(take(intake, "a.png", image)), Accepted)
    assert "limit of 1 files" in only(take(intake, "b.png", image)).reason
    many = zipped(**{f"{i}.png": image for i in range(3)})
    assert "there is room for 0" in only(take(intake, "many.zip", many)).reason
    assert "larger than 0 MiB" in only(take(Intake(folder, Limits(file_bytes=10)), "a.png", image)).reason
    assert "limit of 0 MiB a session" in only(take(Intake(folder, Limits(total_bytes=10)), "a.png", image)).reason
    pages = np.zeros((3, 8, 8), np.uint16)
    write_dicom(tmp_path / "many.dcm", pages, 16, NumberOfFrames=3)
    few = Intake(folder, Limits(frames=2))
    assert "holds 3 frames" in only(take(few, "many.dcm", (tmp_path / "many.dcm").read_bytes())).reason


def test_the_same_file_twice_is_one(folder, tmp_path):
    intake = Intake(folder)
    take(intake, "a.png", png(tmp_path))
    assert "already" in only(take(intake, "a.png", png(tmp_path))).reason
    assert isinstance(only(take(intake, "b.png", png(tmp_path))), Accepted)


def test_names_are_made_fit_for_one_line():
    assert shown("a\nb\x1b[31m\u202egnp.exe") == "a b [31m gnp.exe"
    assert shown("") == "unnamed"
    assert len(shown("x" * 500)) == 200
    assert shown("Bild ä.png") == "Bild ä.png"


def test_a_grey_16_bit_image_stays_as_it_is(folder, tmp_path):
    data = write_image(tmp_path / "deep.png", np.arange(400, dtype=np.uint16).reshape(20, 20)).read_bytes()
    assert only(take(Intake(folder), "deep.png", data)).path.read_bytes() == data


SYSTEM = ["__MACOSX/._a.png", "study/._a.png", "study/@eaDir/a.png", "study/.hidden/a.png", ".ipynb_checkpoints/a.png"]


@pytest.mark.parametrize("name", [*SYSTEM, "study/Thumbs.db", "#recycle/a.png", "study/DICOMDIR"])
def test_files_of_the_system_are_passed_over_and_counted(folder, tmp_path, name):
    intake = Intake(folder)
    data = zipped(**{"study/a.png": png(tmp_path, 10), name: png(tmp_path, 20)})
    assert only(take(intake, "s.zip", data)).name == "s.zip/study/a.png"
    assert intake.passed_over == 1
    assert take(intake, name, png(tmp_path, 30)) == []
    assert intake.passed_over == 2


def test_a_hidden_file_that_is_sent_by_itself_is_tried(folder, tmp_path):
    intake = Intake(folder)
    assert isinstance(only(take(intake, "._a.png", png(tmp_path, 10))), Accepted)
    assert intake.passed_over == 0
