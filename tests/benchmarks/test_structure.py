"""The figures of the structure, on a small checkout whose figures are known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parents[2]
PASSAGE = "\n".join(f"    value_{n} = compute({n})" for n in range(6))


def figures(home):
    command = [sys.executable, HOME / "benchmarks" / "structure.py", home]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    return {row[0]: row[1] for row in rows if len(row) == 2}, done.stdout


def write(home, **files):
    for name, text in files.items():
        file = home / "src" / "medanomaly" / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_rooms_arrows_circles_and_repeated_lines_are_counted(tmp_path):
    write(
        tmp_path,
        ground=f'"""Ground."""\n\n\ndef f():\n{PASSAGE}\n',
        a__one=f"import medanomaly.ground\n\n\ndef g():  # other words\n{PASSAGE}\n",
        a__two="def h():\n    from medanomaly.b import three\n    return three\n",
        b__three="from medanomaly.a import one, two\n",
    )
    found, page = figures(tmp_path)
    assert found["rooms"] == "3"
    assert found["arrows"] == "3 of 3 pairs"
    assert found["circles among rooms"] == "1"
    assert found["circles among files"] == "1"
    assert found["largest room in src"].startswith("a: 13 of")
    assert found["repeated lines (passages of 6 and more)"].startswith("12 of 16")
    assert "Circle of files: medanomaly.a.two, medanomaly.b.three" in page


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    command = [sys.executable, HOME / "benchmarks" / "structure.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no checkout of medanomaly" in done.stderr
