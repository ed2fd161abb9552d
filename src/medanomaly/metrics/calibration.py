"""Calibration: how well scores agree with probabilities, and how to map raw scores to them.

A calibrated probability holds for a population with the prevalence of the images it was fitted on, and for no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medanomaly.metrics.interval import NAN, wilson


@dataclass(frozen=True)
class Bin:
    """Images of like probability: what was said, and what was so."""

    probability: float  #: mean predicted, in [0, 1]
    observed: float  #: share of abnormal images, in [0, 1]
    low: float  #: 95 % Wilson interval of ``observed``
    high: float
    abnormal: int
    images: int


def reliability(probability: np.ndarray, abnormal: np.ndarray, bins: int = 10) -> list[Bin]:
    """The reliability curve, over bins of equally many images.

    Args:
        probability: Predicted probabilities (n,), in [0, 1].
        abnormal: Truth (n,) of bool.
        bins: Number of bins wanted. Equal probabilities are never parted, so bins may be fewer and of unequal size.

    Returns:
        Bins by rising probability; none without images.

    Raises:
        ValueError: if shapes differ, a probability is outside [0, 1] or NaN, or ``bins`` is below 1.
    """
    probability, abnormal = _checked(probability, abnormal)
    if bins < 1:
        raise ValueError(f"at least one bin is needed, not {bins}")
    if not len(probability):
        return []
    order = np.argsort(probability, kind="stable")
    probability, abnormal = probability[order], abnormal[order]
    starts = np.arange(bins) * len(order) // bins
    # A cut within equal probabilities moves to their first.
    cuts = np.unique(np.searchsorted(probability, probability[starts], side="left")).tolist()
    found = []
    for start, stop in zip(cuts, [*cuts[1:], len(order)], strict=True):
        hits, images = int(abnormal[start:stop].sum()), int(stop - start)
        found.append(
            Bin(
                float(probability[start:stop].mean()),
                hits / images,
                *wilson(hits, images),
                abnormal=hits,
                images=images,
            )
        )
    return found


def expected_calibration_error(probability: np.ndarray, abnormal: np.ndarray, bins: int = 10) -> float:
    """Mean distance of observed from predicted over the bins of :func:`reliability`, weighted by images.

    Naeini, Cooper and Hauskrecht (AAAI 2015), with bins of equally many images. It is above 0 by chance alone, the more
    so the fewer the images.

    Returns:
        Value in [0, 1]; NaN without images.

    Raises:
        ValueError: as :func:`reliability`.
    """
    found = reliability(probability, abnormal, bins)
    if not found:
        return NAN
    images = sum(one.images for one in found)
    return sum(one.images * abs(one.observed - one.probability) for one in found) / images


def brier(probability: np.ndarray, abnormal: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Brier score: the mean squared distance of probability and truth (Brier 1950, halved as is usual for two classes).

    Args:
        probability: Predicted probabilities (n,), in [0, 1].
        abnormal: Truth (n,) of bool.
        weights: How often each image counts (n,); once by default.

    Returns:
        Value in [0, 1], lower is better; the prevalence p said of every image gives p (1 - p). NaN without images.

    Raises:
        ValueError: if shapes differ, or a probability is outside [0, 1] or NaN.
    """
    probability, abnormal = _checked(probability, abnormal)
    w = np.ones(len(abnormal)) if weights is None else np.asarray(weights, dtype=np.float64)
    return float((w * (probability - abnormal) ** 2).sum() / w.sum()) if w.sum() > 0 else NAN


def fit_platt(raw: np.ndarray, abnormal: np.ndarray) -> dict[str, Any]:
    """A logistic curve from raw score to probability, by maximum likelihood.

    Platt (Advances in Large Margin Classifiers, 1999, section 2): truth is drawn in to (n+ + 1)/(n+ + 2) and
    1/(n- + 2), so that the fit stays finite where scores separate the classes. Needs scikit-learn.

    Args:
        raw: Raw validation scores (n,), any range.
        abnormal: Truth (n,) of bool, both classes.

    Returns:
        ``{"kind": "platt", "slope", "intercept", "fitted_on": {"normal", "abnormal"}}`` for :func:`calibrate`, plain
        JSON values. A slope below 0 says that the score is inverted.

    Raises:
        ValueError: if shapes differ, a score is NaN or infinite, or a class is missing.
    """
    from sklearn.linear_model import LogisticRegression

    raw, abnormal, counts = _labelled(raw, abnormal)
    centre, scale = float(raw.mean()), float(raw.std()) or 1.0
    high, low = (counts["abnormal"] + 1) / (counts["abnormal"] + 2), 1 / (counts["normal"] + 2)
    target = np.where(abnormal, high, low)
    # A soft target is one image counted in both classes, by its shares.
    z = np.concatenate([raw, raw])[:, None]
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(
        (z - centre) / scale,
        np.repeat([1, 0], len(raw)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    slope = float(fitted.coef_[0, 0]) / scale
    intercept = float(fitted.intercept_[0]) - slope * centre
    return {"kind": "platt", "slope": slope, "intercept": intercept, "fitted_on": counts}


def calibrate(calibration: dict[str, Any], raw: Any) -> np.ndarray:
    """Probabilities of raw scores; numpy alone.

    Args:
        calibration: What :func:`fit_platt` returned, fresh or read from JSON.
        raw: Raw scores, any shape.

    Returns:
        Probabilities in [0, 1], of the same shape; NaN where the score is NaN.

    Raises:
        ValueError: for another kind.
    """
    raw = np.asarray(raw, dtype=np.float64)
    if calibration["kind"] != "platt":
        raise ValueError(f"no calibration '{calibration['kind']}': platt alone")
    return 0.5 * (1 + np.tanh(0.5 * (calibration["slope"] * raw + calibration["intercept"])))  # never overflows


def _checked(probability: np.ndarray, abnormal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probability, abnormal = np.asarray(probability, dtype=np.float64), np.asarray(abnormal, dtype=bool)
    if probability.ndim != 1 or probability.shape != abnormal.shape:
        raise ValueError(f"probability {probability.shape} and abnormal {abnormal.shape} must be vectors of one length")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("a probability is NaN or outside [0, 1]: calibrate raw scores first")
    return probability, abnormal


def _labelled(raw: np.ndarray, abnormal: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    raw, abnormal = np.asarray(raw, dtype=np.float64), np.asarray(abnormal, dtype=bool)
    if raw.ndim != 1 or raw.shape != abnormal.shape:
        raise ValueError(f"raw {raw.shape} and abnormal {abnormal.shape} must be vectors of one length")
    if not np.isfinite(raw).all():
        raise ValueError(f"{int((~np.isfinite(raw)).sum())} scores are NaN or infinite")
    counts = {"normal": int((~abnormal).sum()), "abnormal": int(abnormal.sum())}
    if not all(counts.values()):
        raise ValueError(f"calibration needs labelled images of both classes, not {counts}")
    return raw, abnormal, counts
