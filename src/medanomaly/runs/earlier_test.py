"""Move the record of an earlier test aside, whole, before another test writes its own."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from medanomaly.decision.operating_point_log import LOG
from medanomaly.evidence import predictions
from medanomaly.evidence.run_layout import EVIDENCE, PREDICTIONS, REPORT, RUN, SPLIT, VALIDATION, WEIGHTS

logger = logging.getLogger(__name__)

#: Folders of earlier tests, numbered from 1, below the run's.
EARLIER = "earlier"
#: What a test leaves. The predictions move last: while they are here, the rest is this folder's.
_FILES = (WEIGHTS, VALIDATION, SPLIT, RUN, EVIDENCE, REPORT, LOG, PREDICTIONS)


def set_aside(folder: Path, tested: pd.DataFrame) -> Path | None:
    """Move an earlier test's record aside, unless it holds the same scores: plain anomalib tests in the run's folder.

    Args:
        folder: The run's folder.
        tested: Predictions of the test that is to be written now.

    Returns:
        Where the record is now, complete: it can be exported and reported from there. None if nothing was moved.

    Raises:
        OSError: if it cannot be moved.
    """
    if not (folder / PREDICTIONS).is_file() or _same(folder / PREDICTIONS, tested):
        return None
    taken = [int(path.name.removeprefix(f"{EARLIER}-")) for path in folder.glob(f"{EARLIER}-[0-9]*") if _numbered(path)]
    aside = folder / f"{EARLIER}-{max(taken, default=0) + 1}"
    findings = sorted(path.name for path in folder.glob("*.csv") if path.name not in _FILES)
    for name in (*findings, *_FILES):
        if (folder / name).is_file():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).rename(aside / name)
    logger.warning("This folder held another test. Its record is in %s now.", aside)
    return aside


def _numbered(path: Path) -> bool:
    return path.name.removeprefix(f"{EARLIER}-").isdigit()


def _same(file: Path, tested: pd.DataFrame) -> bool:
    """Whether a file holds the same images with the same raw scores, decisions and truth."""
    try:
        before = predictions.read(file)
    except (OSError, ValueError):
        return False
    columns = [name for name in ("path", "abnormal", "decision", "raw_score", "score") if name in tested]
    if len(before) != len(tested) or not set(columns) <= set(before):
        return False
    for name in columns:
        one, other = before[name].to_numpy(), tested[name].to_numpy()
        # The file holds nine digits, which keep 32-bit scores exactly.
        exact = name not in ("raw_score", "score")
        if not (np.array_equal(one, other) if exact else np.array_equal(np.float32(one), np.float32(other), True)):
            return False
    return True
