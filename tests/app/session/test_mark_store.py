"""Marks: kept by bundle, name and content; whole after a crash; replaced, taken away, and never of another bundle."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from medanomaly.app.session.mark_store import Key, Mark, Store, StoreError, seen_by

KEY = Key("b" * 64, "frame.png", "a" * 64)
MARK = Mark("agree", "note", "abnormal", 0.7, 0.5)


def test_marks_are_kept_replaced_and_taken_away(tmp_path):
    store = Store(tmp_path)
    store.put(KEY, MARK)
    kept = Store(tmp_path).of_bundle(KEY.bundle)[(KEY.name, KEY.sha256)][""]
    assert (kept.mark, kept.note, kept.decision, kept.raw_score, kept.threshold) == (
        "agree",
        "note",
        "abnormal",
        0.7,
        0.5,
    )
    assert kept.time.endswith("+00:00")
    store.put(KEY, Mark("unsure", "", "normal", 0.7, 0.8))
    assert store.of_bundle(KEY.bundle)[(KEY.name, KEY.sha256)][""].mark == "unsure"
    store.put(KEY, Mark(None, "", "normal", 0.7, 0.8))
    assert store.of_bundle(KEY.bundle) == {}


def test_another_bundle_or_other_content_is_another_matter(tmp_path):
    store = Store(tmp_path)
    store.put(KEY, MARK)
    assert store.of_bundle("c" * 64) == {}
    assert (KEY.name, "d" * 64) not in store.of_bundle(KEY.bundle)


def test_an_unknown_mark_is_refused(tmp_path):
    with pytest.raises(ValueError, match="agree, disagree, unsure"):
        Store(tmp_path).put(KEY, Mark("perhaps", "", "normal", 0.1, 0.5))


def test_marks_survive_a_kill(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from medanomaly.app.session.mark_store import *\n"
        "Store(Path(sys.argv[1])).put(Key('b', 'n', 's'), Mark('disagree', 'x', 'normal', 0.1, 0.5))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert Store(tmp_path).of_bundle("b")[("n", "s")][""].mark == "disagree"


def test_only_the_owner_reads_them(tmp_path):
    store = Store(tmp_path / "new")
    assert store.path.stat().st_mode & 0o077 == 0
    assert store.path.parent.stat().st_mode & 0o077 == 0


def test_what_cannot_be_used_is_said(tmp_path):
    (tmp_path / "marks.sqlite3").write_bytes(b"no database, " * 100)
    with pytest.raises(StoreError, match="--marks"):
        Store(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="--marks"):
        Store(tmp_path / "file")


def test_a_newer_file_is_left_alone(tmp_path):
    Store(tmp_path)
    with sqlite3.connect(tmp_path / "marks.sqlite3") as base:
        base.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer"):
        Store(tmp_path)


def test_readers_do_not_overwrite_one_another(tmp_path):
    store = Store(tmp_path)
    for reader, mark in (("AB", "agree"), ("KR", "disagree")):
        store.put(replace(KEY, reader=reader), replace(MARK, mark=mark))
    assert {reader: mark.mark for reader, mark in store.of_bundle(KEY.bundle)[(KEY.name, KEY.sha256)].items()} == {
        "AB": "agree",
        "KR": "disagree",
    }
    store.put(replace(KEY, reader="KR"), Mark(None, "", "normal", 0.7, 0.5))
    assert list(store.of_bundle(KEY.bundle)[(KEY.name, KEY.sha256)]) == ["AB"]


def test_a_reader_sees_others_only_beside_his_own_mark(tmp_path):
    store = Store(tmp_path)
    store.put(replace(KEY, reader="AB"), MARK)
    assert seen_by(store.of_bundle(KEY.bundle), "KR") == {}
    store.put(replace(KEY, reader="KR"), replace(MARK, mark=None, note="not sure yet"))
    assert list(seen_by(store.of_bundle(KEY.bundle), "KR")[(KEY.name, KEY.sha256)]) == ["KR"]
    store.put(replace(KEY, reader="KR"), replace(MARK, mark="unsure"))
    assert set(seen_by(store.of_bundle(KEY.bundle), "KR")[(KEY.name, KEY.sha256)]) == {"AB", "KR"}


def test_several_marks_are_kept_all_or_none(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(ValueError, match="agree, disagree"):
        store.put_all([(KEY, MARK), (replace(KEY, name="b"), replace(MARK, mark="perhaps"))])
    assert store.of_bundle(KEY.bundle) == {}


def test_marks_of_version_0_1_0_stay_without_a_name(tmp_path):
    with sqlite3.connect(tmp_path / "marks.sqlite3") as base:
        base.execute(
            "CREATE TABLE marks (bundle TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, mark TEXT, "
            "note TEXT NOT NULL, decision TEXT NOT NULL, raw_score REAL NOT NULL, threshold REAL NOT NULL, "
            "time TEXT NOT NULL, PRIMARY KEY (bundle, name, sha256)) WITHOUT ROWID"
        )
        base.execute("INSERT INTO marks VALUES ('b', 'n', 's', 'agree', 'seen', 'abnormal', 0.7, 0.5, 't')")
        base.execute("PRAGMA user_version = 1")
    for _ in range(2):
        store = Store(tmp_path)
        assert store.of_bundle("b") == {("n", "s"): {"": Mark("agree", "seen", "abnormal", 0.7, 0.5, "t")}}
    store.put(Key("b", "n", "s", "KR"), MARK)
    assert set(Store(tmp_path).of_bundle("b")[("n", "s")]) == {"", "KR"}


def test_a_locked_file_is_told_within_two_seconds_and_used_again_after(tmp_path):
    store = Store(tmp_path)
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    start = time.monotonic()
    with pytest.raises(sqlite3.Error, match="locked"):
        store.put(KEY, MARK)
    assert time.monotonic() - start < 2
    holder.execute("ROLLBACK")
    holder.close()
    store.put(KEY, MARK)
    assert len(store.of_bundle(KEY.bundle)) == 1
