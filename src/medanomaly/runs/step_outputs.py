"""Keep what a model's step returned in a test, before a post-processor replaces its scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning import Callback
from torch import nn

from medanomaly.evidence.stages import Stages

NOT_KEPT = "the post-processor put its own scores in place of the model's, and raw ones were not kept"


class StepOutputs(Callback):
    """First of a test's callbacks: on each batch it leaves what comes from the model, whatever follows.

    anomalib's post-processor clamps scores and maps to [0, 1], in place of the raw ones. A batch gets ``raw_score``
    (B,), and where the post-processor is not an operating point of ours, which keeps order in maps, ``raw_map``
    (B, …); each may be None.

    Args:
        at_end: Called with trainer and module when all batches are through, before any other callback is.
    """

    def __init__(self, at_end: Callable[[Any, Any], None]) -> None:
        self._at_end = at_end
        self._seen: list[Any] = []
        self._handle: Any = None
        self.stages = Stages()
        #: Why some batch has no raw score; None if all have.
        self.unranked: str | None = None
        #: Sizes (H, W) of the images as they were read, before a pre-processor changes them.
        self.sizes: set[tuple[int, int]] = set()

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        """Look on where a step post-processes its scores itself, as ``forward`` does."""
        del trainer
        self.release()
        self.unranked = None
        self.sizes.clear()
        post = getattr(pl_module, "post_processor", None)
        if isinstance(post, nn.Module):
            self._handle = post.register_forward_pre_hook(lambda _, given: self._seen.append(given[0]))

    def release(self) -> None:
        """Look on no longer."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def on_test_batch_start(self, trainer: Any, pl_module: Any, batch: Any, *args: Any, **kwargs: Any) -> None:
        """Forget the last batch, and note the size of this one's images."""
        del trainer, pl_module, args, kwargs
        self._seen.clear()
        image = getattr(batch, "image", None)
        if image is not None:
            self.sizes.add((int(image.shape[-2]), int(image.shape[-1])))

    def on_test_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *args: Any, **kwargs: Any) -> None:
        """Keep what the step returned."""
        del trainer, args, kwargs
        self.stages.attempt("raw scores", lambda: self._keep(pl_module, outputs))

    def _keep(self, pl_module: Any, outputs: Any) -> None:
        given = self._seen[0] if self._seen else outputs
        score, heat = given.pred_score, given.anomaly_map
        if len(self._seen) > 1:
            score = heat = None
            self.unranked = "the model's step post-processes its scores several times"
        elif score is None or score.numel() != len(outputs.image):
            score = None
            self.unranked = "the model gives no score of each image"
        outputs.raw_score = None if score is None else score.detach().flatten().clone()
        ours = hasattr(getattr(pl_module, "post_processor", None), "record")
        outputs.raw_map = None if ours or heat is None else heat.detach().clone()

    def on_test_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """All batches are through."""
        self._at_end(trainer, pl_module)
