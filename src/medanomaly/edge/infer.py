"""``medanomaly infer``: inputs to records, one line each."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from medanomaly.edge.bundle import Bundle
from medanomaly.edge.detector import Detector, Failure, Result
from medanomaly.imaging import IMAGE_SUFFIXES, ImageError, frames, overlay

RECORDS = "results.jsonl"

#: Suffixes of formats that hold one picture.
_SINGLE = frozenset({".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".bmp"})


@dataclass
class Summary:
    """How many inputs were scored, flagged and failed, and where the records are."""

    records: Path
    scored: int = 0
    flagged: int = 0
    failed: int = 0

    def sentence(self) -> str:
        """The outcome in words."""
        text = (
            f"{self.scored} scored, {self.flagged} flagged as abnormal, {self.failed} failed. Records: {self.records}"
        )
        return text + ("\nFailed inputs have a record with status 'failed' that says why." if self.failed else "")


def find_inputs(inputs: Sequence[Path]) -> Iterator[Path | Failure]:
    """Images named or found in folders (all levels, sorted), each frame of a file with several on its own.

    A folder without any is a :class:`Failure`.
    """
    for path in inputs:
        if not path.is_dir():
            yield from _frames(path)
            continue
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
            yield Failure(str(path), f"{path}: the folder holds no images ({kinds}).")
        for file in found:
            yield from _frames(file)


def _frames(path: Path) -> list[Path]:
    """Every frame of a file that can hold several; a file that cannot be read stays one input, and fails as one."""
    if path.suffix.lower() in _SINGLE:
        return [path]
    try:
        return [Path(address) for address in frames(path)]
    except ImageError:
        return [path]


def infer(bundle: Path, inputs: Sequence[Path], out: Path, overlays: str = "flagged", device: str = "CPU") -> Summary:
    """Score inputs and write ``results.jsonl`` (flushed line by line) and heat maps below ``out``.

    Args:
        bundle: Folder of the bundle.
        inputs: Images and folders.
        out: Folder of the results; records of an earlier run there are replaced.
        overlays: Which heat maps to write: ``flagged``, ``all`` or ``none``.
        device: OpenVINO device.

    Raises:
        BundleError: if the bundle cannot be used.
        OSError: if ``out`` cannot be written.
    """
    opened = Bundle.open(bundle)
    detector = Detector(opened, device)
    listed = list(find_inputs(inputs))
    out.mkdir(parents=True, exist_ok=True)
    summary = Summary(out / RECORDS)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        open(out / RECORDS, "w", encoding="utf-8") as lines,  # noqa: PTH123
        Progress(*columns, console=Console(file=sys.stderr), disable=not sys.stderr.isatty()) as progress,
    ):
        task = progress.add_task("Scoring", total=len(listed))
        for number, outcome in enumerate(_outcomes(detector, listed)):
            record = _record(outcome, number, out, overlays, summary)
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
            lines.flush()
            progress.advance(task)
    return summary


def _outcomes(detector: Detector, listed: Sequence[Path | Failure]) -> Iterator[Result | Failure]:
    results = detector.stream(item for item in listed if not isinstance(item, Failure))
    for item in listed:
        yield item if isinstance(item, Failure) else next(results)


def _record(outcome: Result | Failure, number: int, out: Path, overlays: str, summary: Summary) -> dict[str, Any]:
    if isinstance(outcome, Result) and not all(map(math.isfinite, (outcome.raw_score, *outcome.parts.values()))):
        outcome = Failure(outcome.input, f"{outcome.input}: the model's score is {outcome.raw_score} {outcome.parts}.")
    if isinstance(outcome, Failure):
        summary.failed += 1
        return {"input": outcome.input, "status": "failed", "error": outcome.error}
    summary.scored += 1
    summary.flagged += outcome.abnormal
    record: dict[str, Any] = {
        "input": outcome.input,
        "status": "ok",
        "raw_score": outcome.raw_score,
        "score": outcome.score,
        "decision": "abnormal" if outcome.abnormal else "normal",
    }
    if outcome.p_value is not None:
        record["p_value"] = outcome.p_value
    if outcome.parts:
        record["parts"] = outcome.parts
    if outcome.heat is not None and (overlays == "all" or (overlays == "flagged" and outcome.abnormal)):
        # The number keeps files of one name in different folders apart.
        name = f"overlays/{number:06d}-{Path(outcome.input).stem}.png"
        (out / "overlays").mkdir(exist_ok=True)
        picture = overlay(outcome.image, outcome.heat)
        (out / name).write_bytes(cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes())
        record["overlay"] = name
    return record
