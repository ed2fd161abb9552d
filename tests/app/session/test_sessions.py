"""Sessions: a folder each, gone when they end; what a killed server left is swept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.app.conftest import grey, hand_over, wait

from medanomaly.app.session.sessions import sweep


def test_a_desk_is_found_again_and_cleared_after_its_last_page(room, tmp_path):
    desk = room.attach(None)
    hand_over(desk.files, grey(tmp_path / "a.png", 10))
    work = desk.worklist(0)
    wait(lambda: not work.busy)
    assert list(desk.folder.iterdir())
    assert room.attach(desk.token) is desk
    room.leave(desk)
    room.leave(desk)
    wait(lambda: not desk.folder.exists())
    assert room.find(desk.token) is None
    assert room.attach(desk.token) is not desk


def test_a_page_that_comes_back_in_time_keeps_its_desk(room):
    room.grace = 0.3
    desk = room.attach(None)
    room.leave(desk)
    assert room.attach(desk.token) is desk
    import time

    time.sleep(0.5)
    assert room.find(desk.token) is desk
    assert desk.folder.exists()


def test_sessions_are_strangers_to_each_other(room):
    one, other = room.attach(None), room.attach("guessed")
    assert one is not other
    assert one.folder != other.folder
    assert one.token != other.token
    assert len(one.token) >= 32


def test_the_end_of_the_server_removes_everything(room):
    room.attach(None)
    room.close()
    assert not room.folder.exists()


def test_what_a_killed_server_left_is_swept_and_what_a_living_one_holds_is_not(room, tmp_path):
    code = (
        "import sys, os, signal; from pathlib import Path; from medanomaly.app.session.sessions import Sessions\n"
        "room = Sessions([], None, temporary=Path(sys.argv[1])); (room.folder / 'image.png').write_bytes(b'x')\n"
        "print(room.folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    left = Path(done.stdout.strip())
    assert (left / "image.png").exists()
    sweep(tmp_path)
    assert not left.exists()
    assert room.folder.exists()
