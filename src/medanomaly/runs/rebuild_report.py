"""Make the report of a tested run again from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medanomaly.report.page import render
from medanomaly.report.pictures import Case
from medanomaly.runs.errors import RunError
from medanomaly.runs.rescore import cases_of
from medanomaly.runs.tested_run import TestedRun


def rebuild(folder: Path) -> tuple[str, list[str]]:
    """A run's report.

    Figures come from its evidence and are not computed again; pictures are drawn again from its images and weights.

    Args:
        folder: The run's folder.

    Returns:
        The page, and what the user should know: why there are no pictures, where there are none.

    Raises:
        RunError: if the folder holds no tested run.
    """
    run = TestedRun.load(folder)
    notes: list[str] = []
    cases: list[Case] = []
    try:
        model: Any = run.model
    except (RunError, RuntimeError) as error:
        notes.append(f"The report has no pictures: {error}")
    else:
        cases = cases_of(run, getattr(model, "post_processor", None), run.predictions, notes)
    return render(run.evidence, run.scores, run.abnormal, cases, " ".join(notes)), notes
