"""Check that a run's written decisions are those of its operating point, which is all that a bundle knows."""

from __future__ import annotations

import numpy as np

from medanomaly.decision.decision_function import DecisionFunction
from medanomaly.evidence.run_layout import PREDICTIONS
from medanomaly.runs.errors import RunError
from medanomaly.runs.tested_run import TestedRun

#: Largest difference of a score in (0, 1) that rounding explains.
_SAME = 1e-3
#: How near the threshold, relative to it, a raw score may be decided either way: in 32 bits, and in 16.
_NEAR = {False: 1e-6, True: 1e-2}


def check_decisions(run: TestedRun) -> None:
    """Make sure that raw scores and the recorded operating point give the scores and decisions of ``predictions.csv``.

    A post-processor may inherit from ``OperatingPoint`` and score or decide otherwise. Bundles and ``decide`` know the
    recorded threshold and scale alone, and would decide otherwise than the tested run did.

    Raises:
        RunError: if they do not; names the first image. Also if the run has no raw scores.
    """
    rows, point = run.predictions, run.evidence.get("operating_point")
    if "raw_score" not in rows:
        why = run.evidence.get("unranked") or "it was taken out"
        raise RunError(
            f"{run.folder / PREDICTIONS}: holds no raw_score ({why}), so what the test gave is not known. Test the run "
            "again with a model that returns its raw scores."
        )
    if not point or not {"score", "decision"} <= set(rows):
        return
    decider, raw = DecisionFunction.of(point), rows["raw_score"].to_numpy(dtype=np.float32)
    decision = rows["decision"].to_numpy(dtype=bool)
    coarse = _in_16_bits(raw)
    near = np.isclose(decider.ranking_score(raw), decider.threshold, rtol=_NEAR[coarse], atol=0)
    wrong = (decider.abnormal(raw) != decision) & ~near
    if not coarse:
        wrong |= ~np.isclose(decider.score(raw), rows["score"], rtol=0, atol=_SAME, equal_nan=True)
    if not wrong.any():
        return
    first = int(np.flatnonzero(wrong)[0])
    post = type(getattr(run.model, "post_processor", None)).__name__
    raise RunError(
        f"{run.folder}: the test did not decide by its operating point alone. {rows['path'][first]} has the raw score "
        f"{raw[first]:.6g}, which the threshold {point['threshold']:.6g} makes "
        f"{_said(decider.score(raw[first]), decider.abnormal(raw[first]))}, and the test made it "
        f"{_said(rows['score'][first], decision[first])}; {int(wrong.sum())} of {len(rows)} images differ. What the "
        f"post-processor {post} does to scores belongs into the torch model."
    )


def _in_16_bits(raw: np.ndarray) -> bool:
    """Whether raw scores (n,) float32 come from a test in half precision or bfloat16, which moves scores far."""
    with np.errstate(over="ignore"):
        half = raw.astype(np.float16).astype(np.float32)
    return bool(np.array_equal(half, raw, equal_nan=True) or not (raw.view(np.uint32) & 0xFFFF).any())


def _said(score: float, abnormal: bool) -> str:
    return f"{score:.4g} ({'abnormal' if abnormal else 'normal'})"
