"""Files that are whole or not there, and their digests."""

from __future__ import annotations

import hashlib

import pytest

from medanomaly import files
from medanomaly.files import replacing, sha256, together, write_json, write_text, write_whole


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20 + 7])
def test_a_digest_is_that_of_all_bytes_whatever_the_blocks(tmp_path, size):
    data = (b"medanomaly" * (size // 10 + 1))[:size]
    (tmp_path / "file").write_bytes(data)
    assert sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_a_file_that_is_not_there_has_no_digest(tmp_path):
    with pytest.raises(FileNotFoundError):
        sha256(tmp_path / "absent")


def broken(*_):
    raise OSError(28, "No space left on device")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "file"
    write_whole(file, b"old")
    monkeypatch.setattr(files.os, "fsync", broken)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_several_files_take_their_names_together_or_not_at_all(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"

    def write(*, fail):
        with together() as part:
            part(one).write_text("1")
            if fail:
                raise ValueError
            part(two).write_text("2")

    with pytest.raises(ValueError):
        write(fail=True)
    assert list(tmp_path.iterdir()) == []
    write(fail=False)
    assert (one.read_text(), two.read_text()) == ("1", "2")
    assert sorted(tmp_path.iterdir()) == [one, two]


def test_folders_are_made_and_records_are_plain_json(tmp_path):
    record = tmp_path / "a" / "b" / "record.json"
    write_json(record, {"ä": 1})
    assert record.read_text(encoding="utf-8") == '{\n  "ä": 1\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(record, {"ä": float("nan")})
    assert "1" in record.read_text(encoding="utf-8")
    write_text(tmp_path / "c" / "page", "bytes of a name: \udcff")
    assert (tmp_path / "c" / "page").read_bytes() == b"bytes of a name: \\udcff"
    with replacing(tmp_path / "d" / "table") as part:
        part.write_text("whole")
    assert (tmp_path / "d" / "table").read_text() == "whole"


def test_a_link_where_the_neighbour_goes_is_removed_and_never_followed(tmp_path):
    victim, file = tmp_path / "victim", tmp_path / "file"
    victim.write_text("theirs")
    (tmp_path / ".file.part").symlink_to(victim)
    write_whole(file, b"ours")
    assert (victim.read_text(), file.read_text(), file.is_symlink()) == ("theirs", "ours", False)
    (tmp_path / ".file.part").symlink_to(victim)
    with together() as part:
        part(file).write_text("again")
    assert (victim.read_text(), file.read_text(), file.is_symlink()) == ("theirs", "again", False)
    (tmp_path / ".file.part").symlink_to(tmp_path / "nowhere")
    write_whole(file, b"third")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "victim"]


def test_what_a_killed_process_left_where_the_neighbour_goes_is_replaced(tmp_path):
    file = tmp_path / "file"
    (tmp_path / ".file.part").write_text("half of something long")
    write_whole(file, b"new")
    (tmp_path / ".file.part").write_text("half of something long")
    with together() as part, part(file).open("r+") as opened:
        opened.write("new")
    assert (file.read_text(), list(tmp_path.iterdir())) == ("new", [file])
