"""Gate an export: the bundle scores files, and must give the scores that the tested run wrote down."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medanomaly.data.synthetic_anomalies import KINDS
from medanomaly.edge import Detector
from medanomaly.edge.batch.verify_bundle import flip, relative
from medanomaly.edge.content_hash import Contents
from medanomaly.edge.result import Result
from medanomaly.evidence import predictions
from medanomaly.evidence.run_layout import PREDICTIONS, VALIDATION
from medanomaly.export.errors import ExportError
from medanomaly.export.moved_files import MovedFiles
from medanomaly.export.parity import TOLERANCE
from medanomaly.export.precision_loss import fidelity
from medanomaly.imaging import ImageError, split_frame
from medanomaly.runs.tested_run import TestedRun

#: At most as many images of each table are compared, evenly spread.
COMPARED = 256
#: The tables, and what the card calls their images.
TABLES = {"validation": VALIDATION, "test": PREDICTIONS}
#: Address of a synthetic anomaly, see :func:`medanomaly.data.synthetic_anomalies.added`.
_SYNTHETIC = re.compile(rf"@({'|'.join(KINDS)})(:.*)?#\d+\Z", re.DOTALL)


@dataclass
class Compared:
    """Images of the tested run that a bundle scored.

    Args:
        names: Their addresses (n,).
        tested: Raw scores (n,) that the run wrote down.
        got: Raw scores (n,) of the bundle.
        decided: Its decisions (n,).
        abnormal: The truth (n,).
        of_test: Which are test images (n,); the others are of validation.
        synthetic: Rows of synthetic anomalies, which are no files: left out.
        gone: Rows whose images are not there: left out.
    """

    names: list[str] = field(default_factory=list)
    tested: list[float] = field(default_factory=list)
    got: list[float] = field(default_factory=list)
    decided: list[bool] = field(default_factory=list)
    abnormal: list[bool] = field(default_factory=list)
    of_test: list[bool] = field(default_factory=list)
    synthetic: int = 0
    gone: int = 0

    def differences(self) -> np.ndarray:
        """``|tested - got| / |tested|`` of each image (n,); infinite where one is not a number."""
        return np.array([relative(a, b) for a, b in zip(self.tested, self.got, strict=True)])

    def record(self, detector: Detector, tolerance: float) -> dict[str, Any]:
        """The card's entry ``tested``: plain JSON values without paths, which may name patients.

        Returns:
            ``compared_with``, ``images`` (``validation`` and ``test``), ``left_out`` (``synthetic``, ``gone``),
            ``score_relative`` (largest difference), ``worst`` (content of the image behind it), ``flips`` and
            ``flips_on_threshold`` (decisions that differ; those of scores that are the threshold up to rounding),
            ``tolerance``.
        """
        found = self.differences()
        flips = [flip(detector.decider, a, b) for a, b in zip(self.tested, self.decided, strict=True)]
        return {
            "compared_with": "raw_score of validation.csv and predictions.csv",
            "images": {"validation": self.of_test.count(False), "test": self.of_test.count(True)},
            "left_out": {"synthetic": self.synthetic, "gone": self.gone},
            "score_relative": float(found.max()),
            "worst": Contents().of(self.names[int(found.argmax())]),
            "flips": flips.count("flips"),
            "flips_on_threshold": flips.count("flips_on_threshold"),
            "tolerance": tolerance,
        }


def compare(
    run: TestedRun, detector: Detector, images: str | Path | None = None, every_validation: bool = False
) -> Compared:
    """Score the run's own images with a bundle, as the edge reads them: from their files.

    An image inside an archive, which no file of its own holds, is decoded by the run's data module.

    Args:
        run: The run.
        detector: The bundle.
        images: Where the images are now, file or folder; each is found by the end of its path, and what is not found
            there is looked for where it was.
        every_validation: Take all validation images. By default at most :data:`COMPARED`, like test images.

    Raises:
        ExportError: if none of the images is there, or one cannot be read as the edge reads it.
    """
    found, places = Compared(), None if images is None else MovedFiles(images)
    archive = _Archive(run)
    for name, file in TABLES.items():
        if not (run.folder / file).is_file():
            continue
        rows = predictions.read(run.folder / file)
        made = np.array([_is_synthetic(path) for path in rows["path"]], dtype=bool)
        found.synthetic += int(made.sum())
        most = None if every_validation and name == "validation" else COMPARED
        _score(rows[~made], name == "test", detector, places, archive, most, found)
    if not found.names:
        raise ExportError(
            f"{run.folder}: none of its images is where it was"
            + ("" if images is None else f", nor is one of them {images} or below it")
            + ". So it cannot be shown that the bundle is what was tested. Name their folder with --images."
        )
    return found


def check(run: TestedRun, found: Compared, detector: Detector, hint: str = "") -> dict[str, Any]:
    """The card's entry ``tested`` of an f32 bundle that is what was tested.

    Args:
        run: The run.
        found: Its images, scored by the bundle.
        detector: The bundle.
        hint: A sentence for a refusal, on what else may be to blame.

    Raises:
        ExportError: if a score differs by more than :data:`TOLERANCE` or a decision flips; names the worst image.
    """
    record = found.record(detector, TOLERANCE)
    if record["score_relative"] <= TOLERANCE and not record["flips"]:
        return record
    raise ExportError(
        f"{_worst(found)} (relative difference {record['score_relative']:.2e}, allowed {TOLERANCE:g}); "
        f"{record['flips']} of {len(found.names)} decisions flip. No bundle was written.{hint} {_why(run)}"
    )


def check_reduced(
    run: TestedRun, found: Compared, detector: Detector, point: Mapping[str, Any], drop: float, tolerance: float
) -> dict[str, Any]:
    """The card's entry ``tested`` of a bundle of lower precision that ranks and decides as was tested.

    Args:
        run: The run.
        found: All its validation images, and some of the test, scored by the bundle.
        detector: The bundle, with a threshold of its own.
        point: Record of the tested operating point.
        drop: How far below 1 the fidelity on validation may be, see
            :func:`medanomaly.export.precision_loss.fidelity`; test images are recorded, and decide nothing.
        tolerance: What is recorded as such.

    Returns:
        As :meth:`Compared.record`, and ``fidelity`` with ``allowed``.

    Raises:
        ExportError: if the fidelity is less; names the worst image.
    """
    record = found.record(detector, tolerance)
    of_validation = ~np.array(found.of_test)
    tested, got, abnormal = (np.array(column)[of_validation] for column in (found.tested, found.got, found.abnormal))
    value = fidelity(point, tested.astype(np.float32), abnormal)(got.astype(np.float32)) if len(got) else math.nan
    if value >= 1 - drop:
        return {**record, "fidelity": value, "allowed": drop}
    raise ExportError(
        f"{_worst(found)}. Its fidelity to the tested run on {len(got)} validation images is {value:.4f}, and must be "
        f"at least {1 - drop:g}. No bundle was written. {_why(run)}"
    )


def _worst(found: Compared) -> str:
    worst = int(found.differences().argmax())
    return (
        f"The bundle is not what was tested. On {found.names[worst]} it gives the raw score {found.got[worst]:.6g}, "
        f"and the test gave {found.tested[worst]:.6g}"
    )


def _why(run: TestedRun) -> str:
    """What to look at when scores differ, likeliest first."""
    reasons = []
    model = type(run.model).__name__
    own = [name for name in ("validation_step", "test_step") if _is_own(run.model, name)]
    if own:
        reasons.append(f"{model} has its own {' and '.join(own)}: what that does belongs into its torch model")
    reasons += [
        "Whatever changes images or scores outside the torch model (hooks, callbacks, a data module's own decoding, "
        "transforms that cannot be traced) is not in a bundle",
        "a test in lower precision, or on changed images, differs too",
    ]
    return ". ".join(reasons) + "."


def _is_own(model: Any, name: str) -> bool:
    """Whether a plugin, and neither anomalib nor we, wrote a method."""
    owner = next((cls for cls in type(model).__mro__ if name in vars(cls)), None)
    return owner is not None and owner.__module__.split(".")[0] not in ("medanomaly", "anomalib", "lightning")


def _score(
    rows: pd.DataFrame,
    of_test: bool,
    detector: Detector,
    places: MovedFiles | None,
    archive: _Archive,
    most: int | None,
    found: Compared,
) -> None:
    """Score evenly spread rows of a table whose images are there, at most ``most``."""
    there = [(row, source) for row in rows.to_dict("records") if (source := _source(row["path"], places, archive))]
    found.gone += len(rows) - len(there)
    for row, source in there[:: 1 if most is None else max(1, -(-len(there) // most))]:
        result = _result(detector, row["path"], source, archive)
        found.names.append(row["path"])
        found.tested.append(float(row["raw_score"]))
        found.got.append(result.raw_score)
        found.decided.append(result.abnormal)
        found.abnormal.append(bool(row["abnormal"]))
        found.of_test.append(of_test)


def _result(detector: Detector, path: str, source: str, archive: _Archive) -> Result:
    try:
        if split_frame(source)[0].is_file():
            return detector(source)
        return detector(archive.decode(source), source)
    except ImageError as error:
        raise ExportError(
            f"{path}: was tested, and the edge cannot read it ({error}). No bundle was written."
        ) from error


def _source(path: str, places: MovedFiles | None, archive: _Archive) -> str | None:
    """Where an image is now: its file, its address in an archive, or None."""
    if places is not None and (found := places.of(path)):
        return found
    if split_frame(path)[0].is_file():
        return path
    return path if archive.holds(path) else None


class _Archive:
    """Images at addresses that are no files, by the run's data module, which is made when it is first asked."""

    def __init__(self, run: TestedRun) -> None:
        self._run = run
        self._module: Any = None
        self._known: set[str] | None = None

    def holds(self, path: str) -> bool:
        """Whether the data module lists an image of that address."""
        if self._known is None:
            self._known = set()
            try:
                self._module = self._run.datamodule()
                self._known = set(self._module.listed["image_path"])
            except Exception:  # whatever a data module says when its data are gone: the images are not there
                return False
        return path in self._known

    def decode(self, path: str) -> np.ndarray:
        """The image (H, W, 3) as it is stored."""
        return self._module.decode(path)


def _is_synthetic(path: str) -> bool:
    """Whether an address is that of a synthetic anomaly; a file that is really called so is a file."""
    return _SYNTHETIC.search(path) is not None and not split_frame(path)[0].is_file()
