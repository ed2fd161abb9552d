"""Inputs that are no files: a pipe, socket, device, folder or broken link is named for what it is, and nothing hangs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.conftest import records

from medanomaly.edge import Failure, video
from medanomaly.edge.batch.verify_bundle import VerifyError, verify
from medanomaly.imaging import ImageError, decode, decode_mask, frames, inside, search

#: What a path is, and what its error says.
KINDS = {
    "pipe": "is a pipe (FIFO), not a file",
    "socket": "is a socket, not a file",
    "zero": "is a device, not a file",
    "random": "is a device, not a file",
    "full": "is a device, not a file",
    "dangling": "is a link whose target does not exist",
    "loop": "is a link that leads back to itself",
    "round": "is a link that leads back to itself",
    "below": "does not exist",
    "missing": "does not exist",
    "nul": "does not exist",
}
SUFFIXES = (".png", ".jpg", ".tif", ".dcm", ".mp4", ".avi", "")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Make a path of a kind, below the current folder, which keeps a socket's path short."""
    monkeypatch.chdir(tmp_path)

    def make(kind: str, suffix: str) -> str:
        name = f"{kind}{suffix}"
        if kind == "pipe":
            os.mkfifo(name)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(name)
        elif kind in ("zero", "random", "full"):
            Path(name).symlink_to(f"/dev/{kind}")
        elif kind == "dangling":
            Path(name).symlink_to("nowhere.png")
        elif kind == "loop":
            Path(name).symlink_to(name)
        elif kind == "round":
            Path(name).symlink_to("other")
            Path("other").symlink_to(name)
        elif kind == "below":
            write_image(tmp_path / "file.png", np.zeros((4, 4), np.uint8))
            return f"file.png/{name}"
        elif kind == "nul":
            return f"nul\0{suffix}"
        return name

    return make


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", KINDS)
def test_readers_name_the_kind(place, kind, suffix):
    path = place(kind, suffix)
    readers = [decode, decode_mask, frames]
    if suffix in video.SUFFIXES:
        (failure,) = video.frames(path)
        assert isinstance(failure, Failure)
        assert failure.error.startswith(f"{path}: {KINDS[kind]}")
        assert video.declared_frames(path) == 0
        readers = [lambda path: video.frame_at(path, 1)]
    for read in readers:
        with pytest.raises(ImageError) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path}: {KINDS[kind]}")


def test_every_kind_is_a_record_in_a_run_that_ends(place, drawn_bundle, tmp_path):
    """With real files of theirs in every suffix; a list on standard input names what an argument cannot."""
    names = [place(kind, suffix) for kind in KINDS for suffix in SUFFIXES if kind not in ("nul", "round", "below")]
    good = str(write_image(tmp_path / "good.png", np.zeros((4, 4), np.uint8)))
    command = [sys.executable, "-m", "medanomaly.cli", "infer", str(drawn_bundle), *names[::2], "-", "--out", "out"]
    done = subprocess.run(
        command, input="\n".join([*names[1::2], good]), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, done.stderr
    found = {record["input"]: record for record in records(tmp_path / "out")}
    assert found.keys() == {*names, good}
    for name in names:
        assert found[name]["error"].startswith(f"{name}: {KINDS[Path(name).stem]}")
    assert found[good]["status"] == "ok"
    assert done.stdout.count("Failed: ") == 5
    assert f"And {len(names) - 5} more failed." in done.stdout


@pytest.mark.parametrize("kind", ["pipe", "socket", "zero", "dangling", "loop", "missing"])
def test_verify_names_the_kind(place, tiny_card_bundle, kind):
    with pytest.raises(VerifyError, match=KINDS[kind].replace("(", r"\(").replace(")", r"\)")):
        verify(tiny_card_bundle, [place(kind, ".png")])


@pytest.fixture
def tiny_card_bundle(drawn_bundle, tmp_path):
    """A bundle whose card records an image, so that images are looked for."""
    import json
    import shutil

    shutil.copytree(drawn_bundle, tmp_path / "recorded")
    card = json.loads((tmp_path / "recorded" / "card.json").read_text())
    card["parity"] = {"tolerance": 1e-4, "replay": [{"sha256": "0" * 64, "raw_score": 0.5}], "score_relative": 0.0}
    card["schema"] = 2
    (tmp_path / "recorded" / "card.json").write_text(json.dumps(card))
    return tmp_path / "recorded"


def test_a_folder_passes_over_what_is_no_file_and_says_so(place, tmp_path):
    for kind in ("pipe", "socket"):
        place(kind, ".png")
    found = search(tmp_path)
    assert found.files == []
    assert found.passed.sentence() == "Passed over: 2 files of other kinds (2 pipe, socket or device)."


def test_a_file_that_may_not_be_looked_at_is_one_image_error(tmp_path, monkeypatch):
    import medanomaly.imaging.path_kinds as what_is

    def refusing(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(what_is.os, "stat", refusing)
    with pytest.raises(ImageError, match="cannot be looked at \\(Permission denied\\)"):
        frames(tmp_path / "a.tif")


def test_what_a_file_provokes_while_its_frames_are_counted_is_its_record(drawn_bundle, tmp_path, monkeypatch):
    from medanomaly.edge.batch import inputs
    from medanomaly.edge.batch.infer_inputs import infer

    def refusing(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(inputs, "frames", refusing)
    monkeypatch.setattr(inputs, "video", SimpleNamespace(SUFFIXES=video.SUFFIXES, frames=refusing))
    (tmp_path / "a.tif").write_bytes(b"x")
    (tmp_path / "b.mp4").write_bytes(b"x")
    good = write_image(tmp_path / "good.png", np.zeros((4, 4), np.uint8))
    summary = infer(drawn_bundle, [tmp_path / "a.tif", tmp_path / "b.mp4", good], tmp_path / "out")
    assert (summary.scored, summary.failed) == (1, 2)
    assert records(tmp_path / "out")[1]["error"] == f"{tmp_path / 'b.mp4'}: cannot be read (Input/output error)."


def test_a_link_that_leads_back_lies_inside(tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert inside(tmp_path, "loop.png") == tmp_path / "loop.png"


NAMES = ["a\nb.png", "\x1b[31m\x1b]0;x\x07.png", "[bold red]x[/].png", "a\rb.png", "\u202egnp.png", "\udcff.png"]


def test_each_reason_is_one_line_of_plain_text(drawn_bundle, tmp_path, monkeypatch, capsys):
    from medanomaly.cli import main

    monkeypatch.chdir(tmp_path)
    for first in range(0, len(NAMES), 3):
        names = NAMES[first : first + 3]
        assert main(["infer", str(drawn_bundle), *names, "--out", f"out{first}"]) == 1
        said = capsys.readouterr().out
        lines = said.splitlines()
        assert len(lines) == 4
        assert ("[bold red]x[/].png: " in said) == (NAMES[2] in names)
        assert sum(line.startswith("Failed: ") for line in lines) == 3
        assert all(character.isprintable() or character == "\n" for character in said)
    assert [record["input"] for record in records(tmp_path / "out0")] == NAMES[:3]
