"""Guard a test against failing metrics and pictures of others: one that fails is named and left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from anomalib.metrics import Evaluator
from anomalib.visualization import Visualizer

from medanomaly import distributed
from medanomaly.evidence.stages import Stages

_HOOKS = ("on_test_start", "on_test_epoch_start", "on_test_batch_start", "on_test_batch_end", "on_test_epoch_end")
_MISSING = object()


class CallbackGuard:
    """Stands between a test and the metrics and visualizers in it, until it is released.

    A visualizer that fails (anomalib's reads each image file again, and does not know DICOM) draws nothing more. A
    metric that fails is NaN. So is one that needs what this model does not give, such as decisions without a threshold,
    where anomalib would end the test; that is no failure.
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
                guarded = _Metric(metric, stages)
                self._put(metric, "update", guarded.update)
                self._put(metric, "compute", guarded.compute)

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


class _Metric:
    """A metric's ``update`` and ``compute``, guarded."""

    def __init__(self, metric: Any, stages: Stages) -> None:
        self._update, self._compute, self._stages = metric.update, metric.compute, stages
        self._name = f"metric {getattr(metric, 'name', type(metric).__name__)}"
        # Of a metric that is not strict, anomalib itself leaves such batches out.
        self._needed = tuple(getattr(metric, "fields", ())) if getattr(metric, "strict", False) else ()
        self._undefined = False

    def update(self, batch: Any, *args: Any, **kwargs: Any) -> None:
        """Take a batch, if it has what the metric needs."""
        if any(getattr(batch, field, None) is None for field in self._needed):
            self._undefined = True
        else:
            self._stages.attempt(self._name, lambda: self._update(batch, *args, **kwargs))

    def compute(self, *args: Any, **kwargs: Any) -> Any:
        """The value; NaN where it failed or is undefined in any process, as computing it needs all of them."""
        failed = self._stages.has_failed(self._name)
        states = distributed.gather_numbers(2.0 if failed else float(self._undefined))
        if not any(states):
            with self._stages.stage(self._name):
                return self._compute(*args, **kwargs)
        elif max(states) == 2 and not failed:
            self._stages.note(self._name, RuntimeError("it failed in another process"))
        return torch.tensor(float("nan"))
