"""Sessions: a folder each, gone when they end; what a killed server left is swept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.app.conftest import grey, hand_over, wait

from medanomaly.app.session.sessions import sweep


def test_a_session_is_found_again_and_cleared_after_its_last_page(sessions, tmp_path):
    session = sessions.connect(None)
    hand_over(session.files, grey(tmp_path / "a.png", 10))
    work = session.worklist(0)
    wait(lambda: not work.busy)
    assert list(session.folder.iterdir())
    assert sessions.connect(session.token) is session
    sessions.disconnect(session)
    sessions.disconnect(session)
    wait(lambda: not session.folder.exists())
    assert sessions.find(session.token) is None
    assert sessions.connect(session.token) is not session


def test_a_page_that_comes_back_in_time_keeps_its_session(sessions):
    sessions.grace = 0.3
    session = sessions.connect(None)
    sessions.disconnect(session)
    assert sessions.connect(session.token) is session
    import time

    time.sleep(0.5)
    assert sessions.find(session.token) is session
    assert session.folder.exists()


def test_sessions_are_strangers_to_each_other(sessions):
    one, other = sessions.connect(None), sessions.connect("guessed")
    assert one is not other
    assert one.folder != other.folder
    assert one.token != other.token
    assert len(one.token) >= 32


def test_the_end_of_the_server_removes_everything(sessions):
    sessions.connect(None)
    sessions.close()
    assert not sessions.folder.exists()


def test_what_a_killed_server_left_is_swept_and_what_a_living_one_holds_is_not(sessions, tmp_path):
    code = (
        "import sys, os, signal; from pathlib import Path; from medanomaly.app.session.sessions import Sessions\n"
        "sessions = Sessions([], None, temporary=Path(sys.argv[1])); (sessions.folder / 'image.png').write_bytes(b'x')\n"
        "print(sessions.folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    left = Path(done.stdout.strip())
    assert (left / "image.png").exists()
    sweep(tmp_path)
    assert not left.exists()
    assert sessions.folder.exists()
