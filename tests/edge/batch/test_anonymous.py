"""``infer --anonymous``: a planted patient's name is nowhere, and its holder finds each file again."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.conftest import draw_bundle, records
from tests.imaging import tiff_files
from tests.imaging.dicom_files import dataset, write_dicom
from tests.planted import HEADER, HOSPITAL, NAME, PATIENT_ID, planted_below, planted_in

from medanomaly.cli import main
from medanomaly.edge.batch.anonymous import Anonymous, key_file
from medanomaly.edge.batch.infer_inputs import Options, infer
from medanomaly.edge.batch.outputs import Pictures
from medanomaly.edge.batch.own_phrases import own
from medanomaly.imaging import ImageError, Preprocessing

EVERY = ["--overlays", "all", "--masks", "all", "--maps", "all"]


@pytest.fixture(autouse=True)
def _own_key(tmp_path, monkeypatch):
    """The key of the person who runs the tests stays as it is; tracebacks lie where the test looks."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


def video(path: Path, codec: str = "MJPG", frames: int = 6) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 5.0, (48, 32))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((32, 48, 3), 40 * number, np.uint8))
    writer.release()
    return path


@pytest.fixture(scope="session")
def ward(tmp_path_factory) -> Path:
    """A folder called by a patient's name, with files called so, good and damaged ones of every decoder."""
    ward = tmp_path_factory.mktemp("inputs") / f"ward {NAME}" / "study"
    ward.mkdir(parents=True)
    grey = (np.arange(20 * 24).reshape(20, 24) % 256).astype(np.uint8)
    for suffix in ("png", "jpg", "bmp", "pgm", "tif"):
        bright = np.full((20, 24) if suffix == "pgm" else (20, 24, 3), 200, np.uint8)
        good = write_image(ward / f"{NAME} good.{suffix}", bright).read_bytes()
        (ward / f"{NAME} cut.{suffix}").write_bytes(good[: len(good) * 2 // 3])
        (ward / f"{NAME} empty.{suffix}").write_bytes(b"")
        (ward / f"{NAME} text.{suffix}").write_text(f"{NAME}, {PATIENT_ID}")
    tiff_files.write(ward / f"{NAME} pages.tif", np.stack([grey, grey // 2]), photometric="minisblack")
    write_dicom(ward / f"{NAME}.dcm", grey, 8, **HEADER)
    write_dicom(ward / f"{NAME} frames.dcm", np.stack([grey] * 3), 8, NumberOfFrames=3, **HEADER)
    header_faults = {
        "photometric": {"PhotometricInterpretation": HOSPITAL.upper()[:16]},
        "count": {"NumberOfFrames": "88123"},
        "slope": {"RescaleSlope": "0", "RescaleIntercept": "0"},
        "window": {"WindowCenter": "1", "WindowWidth": "-5"},
        "bits": {"BitsStored": 9},
        "size": {"Rows": 4000},
    }
    for fault, header in header_faults.items():
        data = dataset(grey, 8, **HEADER)
        for keyword, value in header.items():
            setattr(data, keyword, value)
        data.save_as(ward / f"{NAME} {fault}.dcm")
    whole = (ward / f"{NAME}.dcm").read_bytes()
    (ward / f"{NAME} cut.dcm").write_bytes(whole[:-200])
    (ward / f"{NAME} garbled.dcm").write_bytes(whole.replace(b"1.2.840.10008.1.2.1", b"1.2.840.ZQ4711XJ.1.", 1))
    (ward / f"{NAME} vr.dcm").write_bytes(whole.replace(b"\x28\x00\x10\x00US", b"\x28\x00\x10\x00IS", 1))
    for suffix, codec in (("avi", "MJPG"), ("mp4", "mp4v")):
        good = video(ward / f"{NAME} study.{suffix}", codec).read_bytes()
        (ward / f"{NAME} cut.{suffix}").write_bytes(good[: len(good) // 2])
        (ward / f"{NAME} text.{suffix}").write_text(NAME)
    (ward / f"{NAME} loop.png").symlink_to(f"{NAME} loop.png")
    (ward / f"scan.{NAME.lower()}").write_bytes(b"\0")
    (ward / "scan.quuxine").write_bytes(b"\0")
    (ward / f"{NAME} empty folder").mkdir()
    (ward / f"{NAME}#frame=2").mkdir()
    write_image(ward / f"{NAME}#frame=2" / f"{NAME}#frame=3.png", np.full((20, 24, 3), 90, np.uint8))
    return ward


def named(ward: Path) -> list[str]:
    """What is no file, each another way."""
    return [
        str(ward / f"{NAME} missing.png"),
        str(ward / f"{NAME} missing.dcm#frame=2"),
        str(ward / f"{NAME} missing.avi"),
        str(ward / f"{NAME} frames.dcm") + "#frame=7",
        str(ward / f"{NAME}.dcm") + "#frame=88123111",
        str(ward / (NAME * 60 + ".png")),
        str(ward / f"{NAME}*.webp"),
        str(ward / f"{NAME} empty folder"),
        str(ward / f"{NAME}.dcm" / "inner.png"),
    ]


def start(*args: object, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "medanomaly.cli", "infer", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_no_output_of_a_run_holds_the_name(drawn_bundle, ward, tmp_path):
    out = tmp_path / "out"
    process = start(drawn_bundle, ward, *named(ward), "--out", out, "--anonymous", *EVERY)
    said, complained = process.communicate(timeout=120)
    assert process.returncode == 1, complained
    assert complained == b""  # OpenCV quotes the first bytes of a file that is no AVI
    assert not planted_in(said), said
    assert not planted_below(out)
    assert not planted_below(tmp_path / "tmp")
    assert str(ward.parent).encode() not in said + complained
    found = records(out)
    assert [record["record"] for record in found] == list(range(len(found)))
    scored = [record for record in found if record["status"] == "ok"]
    failed = [record for record in found if record["status"] == "failed"]
    assert len(scored) >= 20
    assert len(failed) >= 30
    assert {"overlays", "masks", "maps", "timelines"} <= {path.name for path in out.iterdir()}
    for text in (path.read_text() for path in out.iterdir() if path.is_file()):
        assert "ward" not in text
        assert "study" not in text
        assert str(drawn_bundle) not in text
        assert "out/" not in text
    key = key_file().read_text().strip()
    assert key not in "".join(path.read_text() for path in out.rglob("*") if path.suffix in (".csv", ".jsonl", ".json"))


def test_without_it_the_files_are_named(drawn_bundle, ward, tmp_path, capsys):
    missing = ward / f"{NAME} missing.png"
    assert main(["infer", str(drawn_bundle), str(missing), "--out", str(tmp_path / "out")]) == 1
    assert f"Failed: {missing}: does not exist." in capsys.readouterr().out
    assert set(records(tmp_path / "out")[0]) == {"input", "status", "error"}
    assert not key_file().exists()


def test_an_error_says_why_all_the_same(drawn_bundle, ward, tmp_path, capsys):
    files = [
        ward / f"{NAME} missing.png",
        ward / f"{NAME} empty.png",
        ward / f"{NAME} text.avi",
        ward / f"{NAME} slope.dcm",
    ]
    main(["infer", str(drawn_bundle), *map(str, files), "--out", str(tmp_path / "out"), "--anonymous"])
    errors = [record["error"].removeprefix(record["input"]) for record in records(tmp_path / "out")]
    assert errors == [
        ": does not exist.",
        ": is empty (0 bytes). Copy or export it again.",
        ": cannot be opened as a video. Copy or export it again.",
        ": has a RescaleSlope of 0. Correct its header.",
    ]
    assert f"Failed: {records(tmp_path / 'out')[0]['input']}: does not exist." in capsys.readouterr().out


def test_its_holder_finds_each_file_again(drawn_bundle, ward, tmp_path):
    """By sha256sum, and what has no content by the key: the HMAC as any other tool makes it."""
    given = [str(ward / f"{NAME} frames.dcm"), str(ward / f"{NAME} study.avi"), *named(ward)[:1]]
    infer(drawn_bundle, given, tmp_path / "out", Options(anonymous=True, every=5))
    found, key = records(tmp_path / "out"), bytes.fromhex(key_file().read_text())
    hmacs = [hmac.new(key, os.fsencode(path), hashlib.sha256).hexdigest() for path in given]
    contents = [hashlib.sha256(Path(path).read_bytes()).hexdigest() if Path(path).exists() else None for path in given]
    marks = [f"#frame={n}" for n in (1, 2, 3)], ["#frame=1", "#frame=6"], [""]
    assert [record["input"] for record in found] == [h + mark for h, m in zip(hmacs, marks, strict=True) for mark in m]
    assert [r["sha256"] for r in found] == [c for c, m in zip(contents, marks, strict=True) for _ in m]
    assert (tmp_path / "out" / "timelines").is_dir()


def test_resume_goes_on_where_it_was(drawn_bundle, ward, greys, tmp_path, recwarn):
    """Files named twice, frames, failures: each has one record, and the same as in one run."""
    given = [greys[3], greys[20], greys[3], str(ward), *named(ward), greys[20]]
    options = Options(anonymous=True, resume=True)
    infer(drawn_bundle, given, tmp_path / "whole", options)
    infer(drawn_bundle, given, tmp_path / "out", options)
    lines = (tmp_path / "out" / "results.jsonl").read_bytes().splitlines(keepends=True)
    kept = len(lines) // 2
    (tmp_path / "out" / "results.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:30])
    summary = infer(drawn_bundle, given, tmp_path / "out", options)
    assert (summary.before, summary.scored + summary.failed) == (kept, len(lines) - kept)
    of = {name: [(r["record"], r["input"], r["sha256"]) for r in records(tmp_path / name)] for name in ("whole", "out")}
    assert of["out"] == of["whole"]
    assert infer(drawn_bundle, given, tmp_path / "out", options).scored == 0
    assert not recwarn.list  # pydicom's quote headers


@pytest.mark.parametrize(
    ("first", "then", "reason"),
    [
        ([], ["--anonymous"], "name their inputs by path"),
        (["--anonymous"], [], "of a run with --anonymous"),
        (["--anonymous"], ["--anonymous", "--anonymous-key", "other.key"], "another key"),
    ],
)
def test_resume_by_another_setting_is_refused(drawn_bundle, ward, tmp_path, monkeypatch, capfd, first, then, reason):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / f"out of {NAME}"
    command = ["infer", str(drawn_bundle), str(ward / f"{NAME}.dcm"), "--out", str(out)]
    assert main([*command, *first]) == 0
    before = (out / "results.jsonl").read_bytes()
    capfd.readouterr()
    assert main([*command, *then, "--resume"]) == 2
    said = capfd.readouterr().err
    assert reason in said
    assert "leave out --resume" in said
    assert bool(planted_in(said)) is not bool(then)
    assert ("medanomaly: OUT: " in said) is bool(then)
    assert (out / "results.jsonl").read_bytes() == before


def test_a_list_a_pattern_and_a_name_in_latin_1(drawn_bundle, ward, tmp_path, monkeypatch, capfd):
    latin = os.fsencode(tmp_path / "in") + b"/" + NAME.encode("latin-1") + b".png"
    (tmp_path / "in").mkdir()
    Path(os.fsdecode(latin)).write_bytes((ward / f"{NAME} good.png").read_bytes())
    listed = [latin, latin + b".missing.png", os.fsencode(ward / f"{NAME} cut.jpg"), os.fsencode(ward) + b"/\xff*.dcm"]
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"\n".join(listed))))
    out = tmp_path / "out"
    pattern = str(ward.parent / "**" / f"{NAME[:5]}*.d?m")
    assert main(["infer", str(drawn_bundle), "-", pattern, "--out", str(out), "--anonymous", *EVERY]) == 1
    said = capfd.readouterr()
    assert not planted_in(said.out + said.err)
    assert not planted_below(out)
    assert len(records(out)) > 10


def test_a_closed_folder(drawn_bundle, ward, tmp_path, monkeypatch, capfd):
    scandir = os.scandir

    def closed(path="."):
        if str(path) == str(ward):  # it may also be a descriptor
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", closed)
    out = tmp_path / "out"
    assert main(["infer", str(drawn_bundle), str(ward.parent), "--out", str(out), "--anonymous"]) == 1
    monkeypatch.undo()
    said = capfd.readouterr()
    assert not planted_in(said.out + said.err)
    assert not planted_below(out)
    (record,) = records(out)
    assert record["error"].endswith(": the folder cannot be looked into (Permission denied). Allow reading it.")


def test_a_watched_folder(drawn_bundle, ward, tmp_path):
    incoming = tmp_path / f"{NAME} incoming"
    incoming.mkdir()
    (incoming / f"{NAME} link.png").symlink_to(ward / f"{NAME} good.png")
    for name in (f"{NAME} good.png", f"{NAME} cut.dcm", f"{NAME} study.avi", f"{NAME} pages.tif"):
        (incoming / name).write_bytes((ward / name).read_bytes())
    out = tmp_path / "out"
    process = start(drawn_bundle, "--watch", incoming, "--settle", 0.1, "--out", out, "--anonymous", *EVERY)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if (out / "results.jsonl").exists() and len(records(out)) >= 11 and list(out.glob("timelines/*.svg")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 143, complained
    assert len(records(out)) == 11
    assert not planted_in(said + complained), (said, complained)
    assert not planted_below(out)
    (linked,) = [r for r in records(out) if "through a link" in r.get("error", "")]
    assert linked["error"].startswith(linked["input"])


@pytest.mark.parametrize(
    "raised",
    [
        ImageError(f"/ward/{NAME}.dcm: is a damaged DICOM file (ValueError: {NAME}). Export or send it again."),
        RuntimeError(f"cannot decode {PATIENT_ID} of '/ward/{NAME}.dcm'"),
        OSError(5, "Input/output error", f"/ward/{NAME}.dcm"),
        KeyError(PATIENT_ID),
        UnicodeDecodeError("utf-8", NAME.encode("latin-1"), 1, 2, NAME),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_decoder_raises(drawn_bundle, greys, tmp_path, monkeypatch, capfd, raised):
    def fail(*_):
        raise raised

    monkeypatch.setattr(Preprocessing, "load_placed", fail)
    assert main(["infer", str(drawn_bundle), greys[0], "--out", str(tmp_path / "out"), "--anonymous"]) == 1
    said = capfd.readouterr()
    assert not planted_in(said.out + said.err)
    assert not planted_below(tmp_path / "out")
    assert len(records(tmp_path / "out")[0]["error"]) > 66


def test_a_crash_prints_no_path(drawn_bundle, ward, tmp_path, monkeypatch, capfd):
    def crash(*_, **__):
        try:
            raise KeyError(f"{PATIENT_ID} of {NAME}")
        except KeyError as error:
            raise RuntimeError(f"/ward/{NAME}.dcm is wrong") from error

    monkeypatch.setattr("medanomaly.edge.batch.infer_inputs.find_inputs", crash)
    command = ["infer", str(drawn_bundle), str(ward), "--out", str(tmp_path / "out"), "--anonymous"]
    assert main(command) == 1
    said = capfd.readouterr()
    assert "failed (RuntimeError: " in said.err
    assert not planted_in(said.out + said.err)
    (traced,) = (tmp_path / "tmp").glob("traceback-*.txt")
    assert "in crash" in traced.read_text()
    assert "KeyError" in traced.read_text()
    assert not planted_below(tmp_path / "tmp")


def wrong(tmp_path: Path, drawn_bundle: Path) -> dict[str, tuple[list[str], str]]:
    place = tmp_path / f"{NAME} place"
    place.mkdir()
    (place / "file").write_text("no key")
    bundle, out = str(drawn_bundle), ["--out", str(tmp_path / "out")]
    return {
        "bundle": ([str(place), "a.png", *out], "BUNDLE: is not a bundle"),
        "watch": ([bundle, "--watch", str(place / "none"), *out], "DIR: is no folder to watch"),
        "out": ([bundle, "a.png", "--out", str(place / "file" / "out")], "Not a directory"),
        "key": ([bundle, "a.png", *out, "--anonymous-key", str(place / "file")], "KEY: is no key of --anonymous"),
        "key in OUT": ([bundle, "a.png", "--out", str(place), "--anonymous-key", str(place / "k")], "KEY: lies in"),
        "too many": ([bundle, "a.png", *out, str(place / "b.png")], "1 argument(s) too many"),
    }


@pytest.mark.parametrize("case", ["bundle", "watch", "out", "key", "key in OUT", "too many"])
def test_wrong_options_name_no_path(drawn_bundle, tmp_path, capfd, case):
    args, reason = wrong(tmp_path, drawn_bundle)[case]
    try:
        status = main(["infer", *args, "--anonymous"])
    except SystemExit as end:
        status = end.code
    said = capfd.readouterr()
    assert status == 2
    assert reason in said.err
    assert not planted_in(said.out + said.err)


def test_the_key_is_made_once_for_its_owner_alone(drawn_bundle, greys, tmp_path):
    given = tmp_path / "new folder" / "ward.key"
    infer(drawn_bundle, greys[:1], tmp_path / "a", Options(anonymous=True, anonymous_key=given))
    key = given.read_text()
    assert len(bytes.fromhex(key)) == 32
    assert stat.S_IMODE(given.stat().st_mode) == 0o600
    infer(drawn_bundle, greys[:1], tmp_path / "b", Options(anonymous=True, anonymous_key=given))
    infer(drawn_bundle, greys[:1], tmp_path / "c", Options(anonymous=True))
    a, b, c = (records(tmp_path / name)[0]["input"] for name in "abc")
    assert given.read_text() == key
    assert a == b != c
    assert [path.name for path in given.parent.iterdir()] == ["ward.key"]
    with pytest.raises(ValueError, match="--anonymous alone"):
        Options(anonymous_key=given)


def test_a_link_where_the_key_is_made_is_never_followed(tmp_path):
    victim, place = tmp_path / "victim", tmp_path / "keys" / "ward.key"
    victim.write_text("theirs")
    place.parent.mkdir()
    (place.parent / f"ward.key.{os.getpid()}.part").symlink_to(victim)
    Anonymous.of(place)
    assert victim.read_text() == "theirs"
    assert list(place.parent.iterdir()) == [place]


def test_no_place_for_the_key_is_said(drawn_bundle, greys, tmp_path, monkeypatch, capfd):
    (tmp_path / NAME).write_text("a file")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / NAME))
    assert main(["infer", str(drawn_bundle), greys[0], "--out", str(tmp_path / "out"), "--anonymous"]) == 2
    said = capfd.readouterr()
    assert "cannot be read or made (Not a directory). Name another with --anonymous-key" in said.err
    assert not planted_in(said.out + said.err)


def test_a_plain_hash_of_a_path_is_nowhere(drawn_bundle, greys, tmp_path):
    """Names can be guessed: who has OUT alone must not be able to try them."""
    infer(drawn_bundle, greys, tmp_path / "out", Options(anonymous=True))
    text = (tmp_path / "out" / "results.jsonl").read_text() + (tmp_path / "out" / "infer.json").read_text()
    for path in greys:
        for name in (path, Path(path).name, Path(path).stem):
            for make in (hashlib.sha256, hashlib.sha1, hashlib.md5):
                assert make(name.encode()).hexdigest()[:12] not in text


def test_no_score_is_changed(drawn_bundle, greys, tmp_path):
    for name, options in (("plain", Options()), ("hidden", Options(anonymous=True))):
        infer(drawn_bundle, greys, tmp_path / name, options)
    keys = ("status", "raw_score", "score", "decision")
    plain, hidden = ([[r[key] for key in keys] for r in records(tmp_path / name)] for name in ("plain", "hidden"))
    assert plain == hidden
    pictures = [sorted((tmp_path / name / "overlays").iterdir()) for name in ("plain", "hidden")]
    assert len(pictures[0]) == len(pictures[1]) > 0
    for one, other in zip(*pictures, strict=True):  # each file says by which name it was written
        np.testing.assert_array_equal(cv2.imread(str(one), cv2.IMREAD_UNCHANGED), cv2.imread(str(other), -1))


@pytest.mark.parametrize(
    "text",
    [
        NAME,
        "Doe, born 19600101",
        "Doe.png",
        "Export^Copy",
        "1.2.840.113619.2.55",
        "in Doe of Doe is",
        "",
        "\n\0\x1b[31m",
    ],
)
def test_only_own_phrases_are_left(text):
    shown = own(f"/ward/{text}: is empty ({text}). Copy or export it again. {text}")
    assert "Doe" not in shown
    assert NAME not in shown
    assert not any(letter.isdigit() for letter in shown)
    assert shown.endswith(("Copy or export it again. …", "Copy or export it again."))
    assert own(text) in ("", "…") or text == "in Doe of Doe is"


def test_a_video_that_cannot_be_hashed_is_no_error(tmp_path):
    names = Anonymous(bytes(32))
    os.mkfifo(tmp_path / "pipe.avi")
    for path in (tmp_path / "pipe.avi", tmp_path, tmp_path / "none", f"{tmp_path}/x\0y", "x" * 5000, "-"):
        assert names.content(str(path)) is None


def test_an_error_of_ray_and_of_another_bundle_is_said(drawn_bundle, ward, greys, tmp_path, capfd):
    out = tmp_path / "out"
    command = ["infer", str(drawn_bundle), str(ward / f"{NAME}.dcm"), "--out", str(out), "--anonymous"]
    assert main(command) == 0
    other = draw_bundle(tmp_path / f"{NAME} bundle", {"colour": "grey"})
    card = json.loads((other / "card.json").read_text())
    card["operating_point"]["threshold"] = 0.7
    (other / "card.json").write_text(json.dumps(card))
    assert main(["infer", str(other), *command[2:], "--resume"]) == 2
    assert "another bundle or operating point" in capfd.readouterr().err
    assert not planted_below(out)


def test_what_an_earlier_run_by_path_left_goes(drawn_bundle, ward, tmp_path):
    out = tmp_path / "out"
    infer(drawn_bundle, [ward], out, Options(pictures=Pictures("all", "all", "all")))
    assert planted_below(out)
    infer(drawn_bundle, [ward], out, Options(pictures=Pictures("all", "all", "all"), anonymous=True))
    assert not planted_below(out)
