"""Write evidence and report: the files of a run that can be made anew, and so come last."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from medanomaly.evidence import predictions
from medanomaly.evidence.run_caveats import with_failures
from medanomaly.evidence.run_layout import EVIDENCE, REPORT
from medanomaly.evidence.stages import Stages
from medanomaly.files import write_json, write_text
from medanomaly.report.gallery import Gallery
from medanomaly.report.page import render
from medanomaly.runs import run_record
from medanomaly.runs.collected_batches import PICTURES


def write_evidence(evidence: dict[str, Any], out: Path, stages: Stages) -> int:
    """Write ``evidence.json``, with what failed so far.

    Args:
        evidence: The record; what JSON does not know in it is replaced.
        out: The run's folder.
        stages: Where failures go.

    Returns:
        How many failures it names.
    """
    with stages.stage(EVIDENCE, out / EVIDENCE, once=True):
        try:
            write_json(out / EVIDENCE, with_failures(evidence))
        except (TypeError, ValueError) as error:  # something that JSON does not know
            stages.note(EVIDENCE, error)
            evidence.update(run_record.json_values(evidence), failed=stages.failed)
            write_json(out / EVIDENCE, with_failures(evidence))
    return len(stages.failed)


def write_report(evidence: dict[str, Any], rows: pd.DataFrame, gallery: Gallery, out: Path, stages: Stages) -> None:
    """Write the report; without pictures where these fail.

    Args:
        evidence: The record.
        rows: The predictions.
        gallery: The pictures that were kept in the test.
        out: The run's folder.
        stages: Where failures go.
    """
    stage = partial(stages.stage, once=True)
    with stage("page", out / REPORT):
        cases = []
        with stage(PICTURES):
            cases = gallery.shown(dict(zip(rows["path"], rows["label"], strict=True)))
        scores, truth = predictions.shown(rows), rows["abnormal"].to_numpy(dtype=bool)
        write_text(out / REPORT, render(evidence, scores, truth, cases, stage=stage))
