"""A folder of results: what is not ours is never written over or taken away, and what is ours is, as a whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.conftest import draw_bundle, records

from medanomaly.cli import main
from medanomaly.edge.batch.infer_inputs import Options, infer
from medanomaly.edge.batch.output_ownership import OLD, OutError
from medanomaly.edge.batch.outputs import Pictures

ALL = Pictures("all", "all", "all")


def video(path: Path, frames: int = 3) -> str:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, (32, 32))
    for _ in range(frames):
        writer.write(np.full((32, 32, 3), 200, np.uint8))
    writer.release()
    return str(path)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and where links lead."""
    return {
        str(path.relative_to(folder)): str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def named(out: Path) -> set[str]:
    return {record[key] for record in records(out) for key in ("overlay", "mask", "map") if key in record}


def pictures(out: Path) -> set[str]:
    return {name for name in tree(out) if "/" in name}


FOREIGN = {
    "results of another program": {"results.jsonl": b'{"loss": 0.1}\n'},
    "records without infer.json": {"results.jsonl": b'{"input": "a", "status": "ok"}\n'},
    "text": {"results.jsonl": b"my notes, one line"},
    "a line that is no record": {"results.jsonl": b'{"input": "a", "status": "ok"}\nmine\n{}\n', "infer.json": None},
    "a line without a status": {
        "results.jsonl": b'{"input": "a"}\n{"input": "b", "status": "ok"}\n',
        "infer.json": None,
    },
    "deep JSON": {"results.jsonl": b"[" * 100_000 + b"\n\n", "infer.json": None},
    "infer.json of another program": {"infer.json": b'{"model": "x"}'},
    "infer.json that is a list": {"infer.json": b"[1]"},
    "infer.json that is empty, beside records": {
        "results.jsonl": b'{"input": "a", "status": "ok"}\n',
        "infer.json": b"",
    },
    "overlays of somebody": {"overlays/holiday.png": b"x"},
    "overlays called as ours": {"overlays/000000-00.png": b"x"},
    "a folder in overlays": {"overlays/more/a.png": b"x"},
    "timelines of somebody": {"timelines/000000-a.csv": b"x"},
    "remains of a clearing that are none": {OLD: b"mine\n\n"},
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("resume", [False, True])
def test_what_is_not_ours_is_refused_by_name_and_stays(drawn_bundle, greys, tmp_path, capsys, content, resume):
    out = tmp_path / "out"
    infer(drawn_bundle, [], tmp_path / "empty")
    for name, data in content.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes((tmp_path / "empty" / name).read_bytes() if data is None else data)
    before = tree(out)
    more = ["--resume"] if resume else []
    assert main(["infer", str(drawn_bundle), *greys, "--out", str(out), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"medanomaly: {out}")
    assert "another folder" in error
    assert error.count("\n") == 1
    assert tree(out) == before


@pytest.mark.parametrize("name", ["results.jsonl", "infer.json", "overlays", "timelines"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_link_or_a_device_in_the_place_of_ours_is_never_followed(drawn_bundle, greys, tmp_path, capsys, name, resume):
    out, precious = tmp_path / "out", tmp_path / "precious"
    infer(drawn_bundle, greys, out)
    if name in ("overlays", "timelines"):
        if (out / name).exists():
            (out / name).rename(precious)
        else:
            precious.mkdir()
    else:
        (out / name).rename(precious)
    before = tree(precious) if precious.is_dir() else precious.read_bytes()
    (out / name).symlink_to(precious)
    more = ["--resume"] if resume else []
    assert main(["infer", str(drawn_bundle), *greys, "--out", str(out), *more]) == 2
    assert f"{out / name}: is " in capsys.readouterr().err
    (out / name).unlink()
    os.mkfifo(out / name)  # opening it would wait for ever
    assert main(["infer", str(drawn_bundle), *greys, "--out", str(out), *more]) == 2
    assert f"{out / name}: is " in capsys.readouterr().err
    assert (tree(precious) if precious.is_dir() else precious.read_bytes()) == before


def test_out_that_cannot_be_a_folder_of_results(drawn_bundle, greys, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "bundle link").symlink_to(drawn_bundle)
    other = draw_bundle(tmp_path / "other")
    before = tree(drawn_bundle), tree(other)
    for out, problem in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "below", "cannot be written (Not a directory"),
        (tmp_path / "dangling", "is a link that leads to no folder"),
        (drawn_bundle, "is a bundle"),
        (tmp_path / "bundle link", "is a bundle"),
        (other, "is a bundle"),
        ("", "must name a folder"),
        ("x" * 300, "cannot be written (File name too long"),
    ):
        try:
            status = main(["infer", str(drawn_bundle), greys[0], "--out", str(out)])
        except SystemExit as end:
            status = end.code
        assert status == 2
        error = capsys.readouterr().err
        assert problem in error, error
        assert error.count("\n") == 1
    assert (tree(drawn_bundle), tree(other)) == before
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(OutError, match="no name"):
        infer(drawn_bundle, greys, "")


def test_a_run_that_replaces_another_takes_away_all_of_its_and_nothing_else(drawn_bundle, greys, tmp_path):
    out = tmp_path / "out"
    infer(
        drawn_bundle,
        [*greys, video(tmp_path / "a.avi"), "missing.png", video(tmp_path / "b.avi")],
        out,
        Options(pictures=ALL),
    )
    assert len(pictures(out)) == 3 * 30 + 2 * 2
    mine = {"notes.txt": b"mine", "masks.zip": b"x", "cases/000000-00.png": b"x", ".hidden": b"x"}
    for name, data in mine.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(data)
    (out / "overlays" / ".DS_Store").write_bytes(b"x")  # of the system, that showed the folder
    infer(drawn_bundle, greys[20:21], out, Options(pictures=Pictures("flagged")))
    assert pictures(out) == {"overlays/000000-20.png", "overlays/.DS_Store", "cases/000000-00.png"}
    assert {name: data for name, data in tree(out).items() if name in mine} == mine
    infer(drawn_bundle, greys[:1], out)
    assert pictures(out) == {"overlays/.DS_Store", "cases/000000-00.png"}


def test_folders_that_the_run_does_not_write_into_stay_as_they_are(drawn_bundle, greys, tmp_path):
    """The results may lie in the folder of the images, beside a person's own masks."""
    folder = Path(greys[0]).parent
    (folder / "masks").mkdir()
    for i in range(3):
        write_image(folder / "masks" / f"{i:06d}-{i:02d}.png", np.full((8, 8), 255, np.uint8))
    before = {name: data for name, data in tree(folder).items() if name.startswith("masks/")}
    for _ in range(2):
        infer(drawn_bundle, greys[13:16], folder)
    infer(drawn_bundle, [], folder)  # as killed before the first record
    infer(drawn_bundle, greys[13:16], folder)
    assert {name: data for name, data in tree(folder).items() if name.startswith("masks/")} == before
    for resume in (False, True):
        with pytest.raises(OutError, match="masks/000000-00.png, and 2 more: belongs to no record"):
            infer(drawn_bundle, greys[13:17], folder, Options(pictures=Pictures(masks="all"), resume=resume))
    assert {name: data for name, data in tree(folder).items() if name.startswith("masks/")} == before
    assert len(records(folder)) == 3


def test_a_picture_without_record_as_a_kill_leaves_it_is_ours(drawn_bundle, greys, tmp_path):
    out = tmp_path / "out"
    infer(drawn_bundle, greys[20:], out, Options(pictures=ALL))
    lines = (out / "results.jsonl").read_bytes().splitlines(keepends=True)
    (out / "results.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:9])
    infer(drawn_bundle, greys[:1], out)
    assert pictures(out) == set()


def test_a_file_called_as_ours_that_no_record_names_is_not_ours(drawn_bundle, greys, tmp_path):
    out = tmp_path / "out"
    infer(drawn_bundle, greys[20:], out)
    (out / "overlays" / "000001-reading by Dr B.png").write_bytes(b"mine")
    before = tree(out)
    with pytest.raises(OutError, match="000001-reading by Dr B.png: belongs to no record"):
        infer(drawn_bundle, greys, out)
    assert tree(out) == before


def test_a_link_among_the_pictures_is_never_followed(drawn_bundle, greys, tmp_path):
    out, precious = tmp_path / "out", tmp_path / "precious.png"
    precious.write_bytes(b"mine")
    infer(drawn_bundle, greys[20:], out)
    picture = out / records(out)[2]["overlay"]
    picture.unlink()
    picture.symlink_to(precious)
    with pytest.raises(OutError, match="000002-22.png: belongs to no record"):
        infer(drawn_bundle, greys, out)
    lines = (out / "results.jsonl").read_bytes().splitlines(keepends=True)
    (out / "results.jsonl").write_bytes(b"".join(lines[:2]))
    infer(drawn_bundle, greys[20:], out, Options(resume=True))
    assert precious.read_bytes() == b"mine"
    assert cv2.imread(str(picture)) is not None
    assert not picture.is_symlink()


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("reached", [0, 1, 5, 11])
def test_an_interrupted_clearing_is_no_trap(drawn_bundle, greys, tmp_path, monkeypatch, reached, resume):
    out = tmp_path / "out"
    infer(drawn_bundle, [*greys[18:], video(tmp_path / "a.avi")], out, Options(pictures=Pictures("all", "flagged")))
    (out / "mine.txt").write_text("mine")
    unlink, count = Path.unlink, 0

    def killed(path, *args, **kwargs):
        nonlocal count
        if "/out/" in str(path) and not path.name.startswith("."):
            count += 1
            if count > reached:
                raise KeyboardInterrupt
        return unlink(path, *args, **kwargs)

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        infer(drawn_bundle, greys[20:22], out)
    monkeypatch.undo()
    assert (out / OLD).exists()
    infer(drawn_bundle, greys[19:21], out, Options(resume=resume))
    assert [record["input"] for record in records(out)] == greys[19:21]
    assert pictures(out) == named(out)
    assert sorted(path.name for path in out.iterdir()) == ["infer.json", "mine.txt", "overlays", "results.jsonl"]


def test_a_snapshot_by_hard_links_keeps_its_records(drawn_bundle, greys, tmp_path):
    out = tmp_path / "out"
    infer(drawn_bundle, greys[:5], out)
    os.link(out / "results.jsonl", tmp_path / "snapshot.jsonl")
    before = (tmp_path / "snapshot.jsonl").read_bytes()
    infer(drawn_bundle, greys[5:7], out)
    assert (tmp_path / "snapshot.jsonl").read_bytes() == before
    assert len(records(out)) == 2


def test_results_of_0_1_0_are_ours(drawn_bundle, greys, tmp_path):
    """Their infer.json does not say which folders were written into."""
    out = tmp_path / "out"
    for resume in (True, False):
        infer(drawn_bundle, [*greys, video(tmp_path / "a.avi")], out, Options(pictures=ALL))
        made = json.loads((out / "infer.json").read_text())
        del made["folders"]
        (out / "infer.json").write_text(json.dumps(made))
        if resume:
            summary = infer(drawn_bundle, [*greys, tmp_path / "a.avi"], out, Options(pictures=ALL, resume=True))
            assert (summary.before, summary.scored) == (27, 0)
    infer(drawn_bundle, greys[:1], out)
    assert pictures(out) == set()


def test_records_that_name_files_elsewhere_take_nothing_away(drawn_bundle, greys, tmp_path):
    out = tmp_path / "out"
    infer(drawn_bundle, greys[20:21], out)
    mine = ["mine.png", "cases/000000-a.png", "overlays.png"]
    (out / "cases").mkdir()
    for name in mine:
        (out / name).write_bytes(b"mine")
    (tmp_path / "000000-a.png").write_bytes(b"mine")
    ways = ["../000000-a.png", "overlays/../../000000-a.png", "overlays/../cases/000000-a.png", "mine.png", 7, None]
    ways += ["overlays.png", str(tmp_path / "000000-a.png"), "cases/000000-a.png", ["overlays/000000-20.png"]]
    with (out / "results.jsonl").open("a") as file:
        for way in ways:
            file.write(json.dumps({"input": "a", "status": "ok", "overlay": way, "time": 0}) + "\n")
        file.write(json.dumps({"input": "../../000000-a#frame=1", "status": "ok", "time": 0}) + "\n")
    infer(drawn_bundle, greys[:1], out)
    assert (tmp_path / "000000-a.png").read_bytes() == b"mine"
    assert all((out / name).read_bytes() == b"mine" for name in mine)
    assert pictures(out) == {"cases/000000-a.png"}
