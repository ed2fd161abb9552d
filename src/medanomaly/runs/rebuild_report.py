"""The report of a tested run, made again from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medanomaly.report.page import render
from medanomaly.runs.rescore import cases_of
from medanomaly.runs.stored import Stored
from medanomaly.runs.tested_run import ExportError, TestedRun


def rebuild(folder: Path) -> tuple[str, list[str]]:
    """A run's report.

    Figures come from its evidence and are not computed again; pictures are drawn again from its images and weights.

    Args:
        folder: The run's folder.

    Returns:
        The page, and what the user should know: why there are no pictures, where there are none.

    Raises:
        StoredError: if the folder holds no tested run.
    """
    stored, notes = Stored.load(folder), []
    cases = []
    try:
        run = TestedRun.load(folder)
    except (ExportError, RuntimeError) as error:
        notes.append(f"The report has no pictures: {error}")
    else:
        post: Any = getattr(run.model, "post_processor", None)
        cases = cases_of(run, post, stored.predictions, notes)
    return render(stored.evidence, stored.scores, stored.abnormal, cases, " ".join(notes)), notes
