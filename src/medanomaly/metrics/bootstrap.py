"""Bootstrap intervals by whole groups: percentiles, or Student's t on the scale of the metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from medanomaly.metrics.interval import NAN

Method = Literal["percentile", "student", "student-logit"]


class GroupBootstrap:
    """Draws of whole groups with replacement: images of one patient stay together.

    Args:
        groups: Group of each image (n,), any values.
        draws: Number of draws.
        seed: Seed of the draws.
    """

    def __init__(self, groups: Any, draws: int = 1000, seed: int = 0) -> None:
        names, self._group = np.unique(np.asarray(groups), return_inverse=True)
        self.number, self.draws, self._seed = len(names), draws, seed
        # Groups of one, numbered as the images are: what is drawn are the weights.
        self._single = bool((self._group == np.arange(len(self._group))).all())

    def interval(self, metric: Callable[[np.ndarray], float], method: Method = "percentile") -> tuple[float, float]:
        """95 % interval of ``metric(weights)``, weights (n,) being how often each image was drawn.

        Methods: ``percentile`` takes the ends from the draws themselves, for any metric; with few groups it is too
        narrow, most so near the end of a scale. ``student`` goes from the metric both ways by the standard deviation
        of the draws times Student's quantile with groups less one as degrees of freedom. ``student-logit`` does so on
        the logit scale, for a metric in [0, 1], and covers best (``tools/check_statistics.py`` measures all three).

        Draws in which the metric is undefined (or, on the logit scale, 0 or 1) are left out.

        Returns:
            (NaN, NaN) if more than half of the draws are left out, or if there are fewer than two groups; with
            ``student`` also if the draws do not vary, and on the logit scale if the metric itself is 0 or 1.

        Raises:
            ValueError: for an unknown method, or on the logit scale for a metric outside [0, 1].
        """
        centre = NAN if method == "percentile" else metric(np.ones(len(self._group), dtype=np.int64))
        return self.ends(self.values(lambda w: [metric(w)])[:, 0] if self.number > 1 else np.empty(0), centre, method)

    def values(self, metrics: Callable[[np.ndarray], Sequence[float]]) -> np.ndarray:
        """Several metrics of every draw, (draws, metrics): weights are drawn once for all of them."""
        rng = np.random.default_rng(self._seed)
        found = []
        for _ in range(self.draws):
            drawn = np.bincount(rng.integers(0, self.number, self.number), minlength=self.number)
            found.append(metrics(drawn if self._single else drawn[self._group]))
        return np.array(found, dtype=np.float64)

    def ends(self, values: np.ndarray, centre: float, method: Method = "percentile") -> tuple[float, float]:
        """The interval of :meth:`interval` from a metric of every draw (draws,) and of the images themselves."""
        if method not in ("percentile", "student", "student-logit"):
            raise ValueError(f"no bootstrap method '{method}': percentile, student or student-logit")
        if self.number < 2:
            return NAN, NAN
        if method == "student-logit":
            values, centre = _logit(values), float(_logit(centre))
        values = values[np.isfinite(values)]
        if len(values) < self.draws / 2:
            return NAN, NAN
        if method == "percentile":
            low, high = np.percentile(values, [2.5, 97.5])
            return float(low), float(high)
        spread = values.std(ddof=1)
        if not np.isfinite(centre) or spread == 0:
            return NAN, NAN
        from medanomaly.metrics.distributions import student95

        both = centre + np.array([-1, 1]) * student95(self.number - 1) * spread
        with np.errstate(over="ignore"):  # far below: exactly 0
            low, high = 1 / (1 + np.exp(-both)) if method == "student-logit" else both
        return float(low), float(high)


def _logit(values: Any) -> np.ndarray:
    """Infinite at 0 and 1."""
    values = np.asarray(values, dtype=np.float64)
    if (values < 0).any() or (values > 1).any():
        raise ValueError("the logit scale needs a metric in [0, 1]")
    with np.errstate(divide="ignore"):
        return np.log(values) - np.log1p(-values)
