"""Names of the files in a run's folder; all other code takes them from here."""

from __future__ import annotations

from typing import Final

#: Model, data module and how images are read: what it takes to load the run again.
RUN: Final = "run.json"
#: Every figure, check and caveat of the test.
EVIDENCE: Final = "evidence.json"
#: The page made of the evidence.
REPORT: Final = "report.html"
#: One row a test image: truth, raw score, decision.
PREDICTIONS: Final = "predictions.csv"
#: What the operating point was fitted on: one row a validation image.
VALIDATION: Final = "validation.csv"
#: Which image is in which split.
SPLIT: Final = "split.csv"
#: The tested weights.
WEIGHTS: Final = "weights/tested.ckpt"
