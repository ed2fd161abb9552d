"""By hand, not collected: a large batch with corrupt files that is killed again and again, and two writers on one OUT.

    python -m tests.edge.batch.by_hand                      # 20,000 inputs, 300 corrupt, 5 kills, 20 pairs of writers
    python -m tests.edge.batch.by_hand --inputs 2000 --corrupt 30 --pairs 5

It ends with status 1 and says what differs, if a record is lost, doubled or out of order, a picture is missing or not
readable, or two writers shared a folder.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from tests.edge.conftest import draw_bundle

SIDE = 12


def draw(folder: Path, inputs: int, corrupt: int, rng: random.Random) -> tuple[list[str], set[str]]:
    """Tiny PNGs of random grey, and among them corrupt ones of five kinds; all their paths in order, and the corrupt."""
    folder.mkdir(parents=True)
    bad = set(rng.sample(range(inputs), corrupt))
    paths = []
    for number in range(inputs):
        path = folder / f"{number // 1000:02d}" / f"{number:06d}.png"
        path.parent.mkdir(exist_ok=True)
        good = cv2.imencode(".png", np.full((SIDE, SIDE), rng.randrange(256), np.uint8))[1].tobytes()
        kinds = (b"", b"I am no picture", good[:20], good[:-30], b"\0" * 200)
        path.write_bytes(kinds[number % len(kinds)] if number in bad else good)
        paths.append(str(path))
    return paths, {paths[number] for number in bad}


def start(bundle: Path, folder: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "medanomaly.cli", "infer", str(bundle), str(folder), "--out", str(out), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def lines(out: Path) -> int:
    file = out / "results.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def differences(out: Path, paths: list[str], corrupt: set[str]) -> list[str]:
    """What is not exact in a finished folder of results."""
    data = (out / "results.jsonl").read_bytes()
    try:
        found = [json.loads(line) for line in data.splitlines()]
    except ValueError as error:
        return [f"a line is no record ({error})"]
    problems = []
    if b"\0" in data or not data.endswith(b"\n"):
        problems.append("the file holds NUL bytes or a torn line")
    inputs = [record["input"] for record in found]
    if inputs != paths:
        problems.append(f"{len(inputs)} records, {len(set(inputs))} of them apart, are not the {len(paths)} in order")
    failed = {record["input"] for record in found if record["status"] == "failed"}
    if failed != corrupt:
        problems.append(f"{len(failed)} failures, {len(failed ^ corrupt)} of them or of the corrupt files differ")
    flagged = [record for record in found if record.get("decision") == "abnormal"]
    named = {record["overlay"] for record in found if "overlay" in record}
    if len(named) != len(flagged):
        problems.append(f"{len(flagged)} are flagged, and {len(named)} overlays are named")
    there = {f"overlays/{path.name}" for path in (out / "overlays").iterdir()}
    if there != named:
        problems.append(f"overlays: {len(named - there)} are missing, {len(there - named)} belong to no record")
    broken = [name for name in named & there if cv2.imread(str(out / name)) is None]
    if broken:
        problems.append(f"{len(broken)} overlays cannot be read")
    return problems


def killed(bundle: Path, folder: Path, out: Path, paths: list[str], kills: int, rng: random.Random) -> list[int]:
    """Run, kill at random moments and go on, to the end; the records there were at each kill."""
    reached = []
    for target in sorted(rng.sample(range(len(paths) * 9 // 10), kills)):
        process = start(bundle, folder, out, "--resume")
        while lines(out) < target and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.05))
        if process.poll() is not None:
            raise SystemExit(f"ended before the kill: {process.communicate()}")
        process.kill()
        process.communicate()
        reached.append(lines(out))
    process = start(bundle, folder, out, "--resume")
    text, error = process.communicate()
    print(text.strip().splitlines()[0])
    if process.returncode != 1:
        raise SystemExit(f"status {process.returncode}, not 1 for the failures: {error}")
    return reached


def two_writers(
    bundle: Path, folder: Path, out: Path, paths: list[str], corrupt: set[str], rng: random.Random
) -> tuple[list[str], bool]:
    """Two processes on one folder, begun nearly together, one of them perhaps through a link or with --resume.

    Returns:
        What is wrong, and whether the second ended with status 2; else it came when the first had ended.
    """
    link = out.with_name(f"{out.name}-link")
    if not link.is_symlink():
        out.mkdir()
        link.symlink_to(out)
    if rng.random() < 0.5:  # else the records of the pair before are replaced, or gone on with
        shutil.rmtree(out)
        out.mkdir()
    processes = []
    for way in rng.sample([out, out, link], 2):
        processes.append(start(bundle, folder, way, *rng.choice([[], ["--resume"], ["--no-cache"]])))
        time.sleep(rng.choice([0, 0, 0.2, 0.5]))
    ended = [(process.communicate(), process.returncode) for process in processes]
    statuses = sorted(status for _, status in ended)
    problems = differences(out, paths, corrupt)
    if statuses not in ([1, 1], [1, 2]):
        problems.append(f"statuses {statuses}: {[error for (_, error), _ in ended]}")
    for (_, error), status in ended:
        if status == 2 and "writes into it. Wait for its end" not in error:
            problems.append(f"status 2 says: {error}")
    return problems, 2 in statuses


def main() -> int:
    """Run both and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--corrupt", type=int, default=300)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=20, help="how often two writers are started")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="medanomaly-by-hand-") as temporary:
        base = Path(temporary)
        bundle = draw_bundle(base / "bundle")
        paths, corrupt = draw(base / "in", args.inputs, args.corrupt, rng)
        begun = time.monotonic()
        reached = killed(bundle, base / "in", base / "out", paths, args.kills, rng)
        problems = differences(base / "out", paths, corrupt)
        overlays = len(list((base / "out" / "overlays").iterdir()))
        print(
            f"{len(paths)} inputs, {len(corrupt)} corrupt, killed at {reached} records: "
            f"{lines(base / 'out')} records, {overlays} overlays; {time.monotonic() - begun:.0f} s"
        )
        begun, refused = time.monotonic(), 0
        few, few_corrupt = draw(base / "few", max(200, args.inputs // 20), max(3, args.corrupt // 20), rng)
        for number in range(args.pairs):
            found, second = two_writers(bundle, base / "few", base / "shared", few, few_corrupt, rng)
            problems += [f"pair {number}: {problem}" for problem in found]
            refused += second
        print(
            f"{args.pairs} pairs of writers on one folder, {len(few)} inputs each: {refused} times the second was "
            f"refused with status 2; {time.monotonic() - begun:.0f} s"
        )
    for problem in problems:
        print(f"WRONG: {problem}")
    print("exact" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
