"""Check an installation before it is trusted: the known score of a drawn image, and known pixels of files."""

from __future__ import annotations

import math
from typing import Any, Protocol

import cv2
import numpy as np

from medanomaly.decision.decision_function import DecisionFunction
from medanomaly.edge import self_test_files
from medanomaly.edge.bundle import Bundle, BundleError
from medanomaly.edge.result import Result

#: The drawing below. Another drawing gets another name, and runtimes that lack it skip the comparison.
PATTERN = "waves-1"

#: Largest difference relative to the recorded figure that another CPU's order of summation may make, in f32; the
#: limit of the parity record. bfloat16, which this is to catch, is off by some 1e-3.
TOLERANCE = 1e-4


class Scoring(Protocol):
    """What is asked of a detector here; see :class:`medanomaly.edge.detector.Detector`."""

    bundle: Bundle
    device: str
    decider: DecisionFunction

    def score(self, image: np.ndarray, /) -> Result:
        """Score an image that was read already."""
        ...


def image(size: tuple[int, int]) -> np.ndarray:
    """The drawn image: (H, W, 3) float32 in [0, 1], made of whole numbers alone, so that it is the same everywhere."""
    row, column, channel = np.ogrid[: size[0], : size[1], :3]
    waves = (7 * row + 3 * column + row * column // 5 + 61 * channel) % 256
    return (np.abs(waves - 128) * 2).clip(0, 255).astype(np.float32) / np.float32(255)


def figures(result: Result) -> dict[str, float]:
    """What is compared: the raw score, and the mean of the raw map where there is one."""
    found = {"raw_score": result.raw_score}
    if result.raw_map is not None:
        found["map_mean"] = float(result.raw_map.mean(dtype=np.float64))
    return found


def record(detector: Scoring, tolerance: float = TOLERANCE) -> dict[str, Any] | None:
    """The card's entry ``self_test``: name of the drawing, figures, tolerance, and small files with their pixels.

    None if the figures are not finite: a model that was never meant for such an image may give infinity.
    """
    found = figures(detector.score(image(detector.bundle.reading.size)))
    if not all(map(math.isfinite, found.values())):
        return None
    return {"image": PATTERN, "figures": found, "tolerance": tolerance, "files": self_test_files.record()}


def check(detector: Scoring) -> bool:
    """Score the drawn image, read the files of the card, and compare with it.

    Returns:
        Whether there was something to compare with: bundles of earlier versions have no such record or no files.

    Raises:
        BundleError: if a figure or a pixel differs by more than its tolerance.
    """
    found = figures(detector.score(image(detector.bundle.reading.size)))
    kept = detector.bundle.card.get("self_test")
    if not isinstance(kept, dict) or kept.get("image") != PATTERN:
        return False
    try:
        expected = {name: float(value) for name, value in kept["figures"].items()}
        tolerance = float(kept["tolerance"])
        misread = self_test_files.differing(kept.get("files", ()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(
            f"{detector.bundle.path}: the self_test of its card is incomplete ({error}). Export the bundle again."
        ) from error
    # A score near zero may be the difference of large ones: what it spreads over is the measure then.
    spread = {"raw_score": float(detector.decider.scale)}
    for name, value in expected.items():
        got = found.get(name, math.nan)
        if not abs(got - value) <= tolerance * max(abs(value), spread.get(name, 0.0)):
            raise BundleError(
                f"{detector.bundle.path}: fails its self-test on {detector.device}: {name} of the drawn image is "
                f"{got:.9g}, and was {value:.9g} at the export (tolerance {tolerance:g}, relative). Do not use these "
                "results. Delete the compile cache (~/.cache/medanomaly) and try again, try device CPU, or export the "
                "bundle again with the versions installed here."
            )
    if misread:
        raise BundleError(
            f"{detector.bundle.path}: fails its self-test: {misread}, read otherwise than at the export. Do not use "
            f"these results. Install the OpenCV that medanomaly asks for (this is {cv2.__version__}): "
            "pip install --upgrade medanomaly"
        )
    return True
