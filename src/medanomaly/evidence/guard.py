"""Metrics and pictures of others, kept from ending a test: one that fails is named and left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from anomalib.metrics import Evaluator
from anomalib.visualization import Visualizer

from medanomaly import ranks
from medanomaly.evidence.stages import Stages

_HOOKS = ("on_test_start", "on_test_epoch_start", "on_test_batch_start", "on_test_batch_end", "on_test_epoch_end")
_MISSING = object()


class Guard:
    """Stands between a test and the metrics and visualizers in it, until it is released.

    A visualizer that fails (anomalib's reads each image file again, and does not know DICOM) draws nothing more. A
    metric that fails is NaN.
    """

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any]] = []

    def protect(self, callbacks: list[Any], stages: Stages) -> None:
        """Guard anomalib's evaluators and visualizers among a trainer's callbacks; failures go to ``stages``."""
        self.release()
        for callback in callbacks:
            if not isinstance(callback, (Evaluator, Visualizer)):
                continue
            for hook in _HOOKS:
                self._put(callback, hook, _quiet(getattr(callback, hook), type(callback).__name__, stages))
            for metric in getattr(callback, "test_metrics", ()):
                name = f"metric {getattr(metric, 'name', type(metric).__name__)}"
                self._put(metric, "update", _quiet(metric.update, name, stages))
                self._put(metric, "compute", _computed(metric.compute, name, stages))

    def release(self) -> None:
        """Put everything back."""
        for owner, name, before in reversed(self._replaced):
            if before is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
        self._replaced.clear()

    def _put(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        self._replaced.append((owner, name, vars(owner).get(name, _MISSING)))
        setattr(owner, name, function)


def _quiet(function: Callable[..., Any], name: str, stages: Stages) -> Callable[..., None]:
    """The function until it fails, and nothing from then on."""

    def guarded(*args: Any, **kwargs: Any) -> None:
        stages.attempt(name, lambda: function(*args, **kwargs))

    return guarded


def _computed(function: Callable[..., Any], name: str, stages: Stages) -> Callable[..., Any]:
    """A metric's value; NaN where it failed in this process or, as computing it needs all of them, in another."""

    def guarded(*args: Any, **kwargs: Any) -> Any:
        if any(ranks.counts(float(stages.has_failed(name)))):
            return torch.tensor(float("nan"))
        with stages.stage(name):
            return function(*args, **kwargs)
        return torch.tensor(float("nan"))

    return guarded
