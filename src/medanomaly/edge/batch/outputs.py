"""Write what ``medanomaly infer`` leaves for each input: its record, and the pictures asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medanomaly.edge.batch import timeline
from medanomaly.edge.batch.anonymous import Anonymous
from medanomaly.edge.batch.output_errors import write_file, writing
from medanomaly.edge.batch.output_names import file_name
from medanomaly.edge.batch.output_ownership import TIMELINES
from medanomaly.edge.batch.records import RECORDS, Records
from medanomaly.edge.batch.signed_png import signed
from medanomaly.edge.result import Failure, Result
from medanomaly.imaging import PassedOver, overlay
from medanomaly.options import one_line

#: Of which images pictures are written.
WHICH = ("flagged", "all", "none")

#: Reasons of failed inputs that are said at the end; all are in the records.
_REASONS = 5


@dataclass(frozen=True)
class Pictures:
    """Which pictures are written, each ``flagged``, ``all`` or ``none``.

    Args:
        overlays: Heat maps over the image, at the model's size.
        masks: Pixels above the pixel threshold, white on black, at the original size.
        maps: Heat maps at the original size, 16-bit grey: value / 65535, 0.5 at the pixel threshold.
    """

    overlays: str = "flagged"
    masks: str = "none"
    maps: str = "none"

    def __post_init__(self) -> None:
        """Check every field."""
        for name, value in vars(self).items():
            if value not in WHICH:
                raise ValueError(f"{name} must be one of {', '.join(WHICH)}, not '{value}'")

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders that a run with these may write into, below that of the results."""
        return (*(name for name, which in vars(self).items() if which != "none"), TIMELINES)


@dataclass
class Summary:
    """What a run did.

    Args:
        records: Where the records are.
        scored: Inputs scored in this run.
        flagged: Those of them that are abnormal.
        failed: Inputs that failed in this run.
        before: Records there were before, in a run that was gone on with.
        failed_before: Those of them that tell of a failure.
        reasons: Of the first failed inputs of this run, why.
        reasons_of: These inputs, as their records call them.
        passed: What folders held and was passed over.
        signum: The signal that ended the run; None if it came to its end.
        anonymous: Whether :meth:`sentence` leaves out paths, and what files are called.
    """

    records: Path
    scored: int = 0
    flagged: int = 0
    failed: int = 0
    before: int = 0
    failed_before: int = 0
    reasons: list[str] = field(default_factory=list)
    reasons_of: list[str] = field(default_factory=list)
    passed: PassedOver = field(default_factory=PassedOver)
    signum: int | None = None
    anonymous: bool = False

    def mend(self, inputs: list[str], before: int) -> None:
        """Take back failures whose input was read later: of this run by their inputs, of earlier ones by number."""
        self.failed -= len(inputs)
        self.failed_before -= before
        kept = [both for both in zip(self.reasons, self.reasons_of, strict=True) if both[1] not in inputs]
        self.reasons, self.reasons_of = [reason for reason, _ in kept], [name for _, name in kept]

    def sentence(self) -> str:
        """The outcome in words."""
        text = f"{self.scored} scored, {self.flagged} flagged as abnormal, {self.failed} failed"
        if self.before:
            text += f"; {self.before} had a record before, {self.failed_before} of them of a failure"
        lines = [f"{text}. Records: {f'OUT/{RECORDS}' if self.anonymous else self.records}"]
        if self.passed:
            lines.append(self.passed.sentence(kinds=not self.anonymous))
        lines += [f"Failed: {one_line(reason)}" for reason in self.reasons]
        if more := self.failed - len(self.reasons):
            lines.append(f"And {more} more failed.")
        if self.failed + self.failed_before > len(self.reasons):
            lines.append("Failed inputs have a record with status 'failed' that says why.")
        return "\n".join(lines)


def _numbers(outcome: Result) -> str:
    """The scores of a result that has none, in words."""
    parts = [f"{name} {value:g}" for name, value in outcome.parts.items()]
    return f"{outcome.raw_score:g}" + (f" ({', '.join(parts)})" if parts else "")


@dataclass
class _Video:
    first: int
    rows: list[timeline.Row] = field(default_factory=list)


class Writer:
    """Write records, pictures and timelines.

    Args:
        out: Folder of the results.
        records: The opened records; those of an earlier run are :meth:`remember`\\ ed first.
        pictures: Which pictures are written.
        passed: What folders held and was passed over, for the summary.
        names: What inputs are called in all that is written; None for their paths.
    """

    def __init__(
        self,
        out: Path,
        records: Records,
        pictures: Pictures,
        passed: PassedOver | None = None,
        names: Anonymous | None = None,
    ) -> None:
        self.out, self.records, self.pictures, self.names = out, records, pictures, names
        passed = PassedOver() if passed is None else passed
        self.summary = Summary(records.path, passed=passed, anonymous=names is not None)
        self._videos: dict[str, _Video] = {}

    def remember(self, record: dict[str, Any], number: int) -> None:
        """Take in a record of the run before; ``number`` is its place among all records."""
        self.summary.before += 1
        self.summary.failed_before += record.get("status") == "failed"
        self._in_timeline(record, number)

    def recall(self, video: str) -> None:
        """Take in again what the records hold of a video, as they call it, whose timeline is to be made anew.

        Raises:
            OSError: if the records cannot be read.
        """
        self._videos.pop(video, None)
        with self.records.path.open("rb") as lines:
            for number, line in enumerate(lines):
                record = json.loads(line)
                found = timeline.row_of(record)
                if found and found[0] == video:
                    self._in_timeline(record, number)

    def _in_timeline(self, record: dict[str, Any], number: int) -> None:
        found = timeline.row_of(record)
        if found:
            self._videos.setdefault(found[0], _Video(number)).rows.append(found[1])

    def write(self, outcome: Result | Failure) -> None:
        """Write what is left of one input; the record last, so that what it names is there.

        Raises:
            OutputError: if the disk is full, or ``out`` is gone.
        """
        if isinstance(outcome, Result) and not outcome.finite:
            text = f"{outcome.input}: the model's score is {_numbers(outcome)}."
            outcome = Failure(outcome.input, text, outcome.time)
        number, given = self.records.count, outcome.input
        if self.names is not None:  # all that follows knows no path
            outcome = self.names.hidden(outcome)
        record = self._failed(outcome) if isinstance(outcome, Failure) else self._scored(outcome, number)
        if self.names is not None:
            record = self.names.first(number, given, record)
        self.records.append(record)
        self._in_timeline(record, number)
        current = timeline.row_of(record)
        self.finish(but=current[0] if current else None)

    def finish(self, but: str | None = None) -> None:
        """Write the timelines that are waiting, of all videos but one."""
        for name in [name for name in self._videos if name != but]:
            video = self._videos.pop(name)
            rows = list({row.frame: row for row in video.rows}.values())  # the last record of a frame counts
            timeline.write(self.out / TIMELINES, file_name(video.first, name), name, rows)

    def _failed(self, outcome: Failure) -> dict[str, Any]:
        self.summary.failed += 1
        if len(self.summary.reasons) < _REASONS:
            self.summary.reasons.append(outcome.error)
            self.summary.reasons_of.append(outcome.input)
        record: dict[str, Any] = {"input": outcome.input, "status": "failed", "error": outcome.error}
        if outcome.time is not None:
            record["time"] = round(outcome.time, 3)
        return record

    def _scored(self, outcome: Result, number: int) -> dict[str, Any]:
        self.summary.scored += 1
        self.summary.flagged += outcome.abnormal
        record: dict[str, Any] = {
            "input": outcome.input,
            "status": "ok",
            "raw_score": outcome.raw_score,
            "score": outcome.score,
            "decision": outcome.decision,
        }
        if outcome.p_value is not None:
            record["p_value"] = outcome.p_value
        if outcome.parts:
            record["parts"] = outcome.parts
        if outcome.time is not None:
            record["time"] = round(outcome.time, 3)
        record["seconds"] = round(outcome.seconds, 4)
        if outcome.heat is not None:
            self._draw(outcome, outcome.heat, file_name(number, outcome.input), record)
        return record

    def _draw(self, outcome: Result, heat: np.ndarray, name: str, record: dict[str, Any]) -> None:
        def wanted(which: str) -> bool:
            return which == "all" or (which == "flagged" and outcome.abnormal)

        if wanted(self.pictures.overlays):
            record["overlay"] = self._png("overlays", name, overlay(outcome.image, heat)[:, :, ::-1])
        if wanted(self.pictures.masks):
            mask = outcome.mask_at_original()
            assert mask is not None  # wherever there is a heat map
            record["mask"] = self._png("masks", name, mask.view(np.uint8) * 255)
        if wanted(self.pictures.maps):
            full = outcome.map_at_original()
            assert full is not None
            record["map"] = self._png("maps", name, full)

    def _png(self, folder: str, name: str, picture: np.ndarray) -> str:
        written = f"{folder}/{name}.png"
        with writing(self.out / folder):
            (self.out / folder).mkdir(exist_ok=True)
        write_file(self.out / written, signed(cv2.imencode(".png", picture)[1].tobytes(), f"{name}.png"))
        return written
