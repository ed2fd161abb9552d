"""``TestedModel``: pre-processor, network and score as tested; the only thing that may score a run's images."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from anomalib.data import ImageBatch, InferenceBatch
from lightning import Callback

from medanomaly.runs.moved_pixels import displaced

#: Steps of a lightning module, by what they do to a batch.
STEPS = ("validation", "test")


class TestedModel:
    """A lightning module as the trainer ran it: what its callbacks do to images before a step, then the step.

    Export, parity, rescoring, pictures and checks score through this object. A plugin may normalise in its
    pre-processor, or in a step of its own: calling ``module.model`` alone would leave both out.

    Args:
        module: An anomalib module with the tested weights, in evaluation mode.
    """

    __test__ = False  # not a test class, whatever its name begins with

    def __init__(self, module: Any) -> None:
        self.module = module

    def step(self, batch: Any, kind: str = "test") -> Any:
        """A batch through pre-processor and step.

        Args:
            batch: With ``image`` (B, 3, H, W) float32 in [0, 1], as the data module gives it; it is changed.
            kind: ``validation`` or ``test``: the step whose scores are wanted.

        Returns:
            The batch with raw ``pred_score`` (B,), raw ``anomaly_map`` (B, 1, h, w) or None, and ``parts`` where there
            are any.

        Raises:
            ValueError: for another kind.
        """
        if kind not in STEPS:
            raise ValueError(f"kind must be one of {', '.join(STEPS)}, not '{kind}'")
        with torch.no_grad():
            batch = prepare(self.module, batch, kind)
            step = getattr(self.module, f"{kind}_step", None) or self.module.validation_step
            with _raw(self.module) as seen:
                batch = step(batch, 0) if _takes_number(step) else step(batch)
            if len(seen) == 1:  # the step post-processed its scores itself
                batch.pred_score, batch.anomaly_map = seen[0].pred_score, seen[0].anomaly_map
            return batch

    def __call__(self, images: torch.Tensor) -> InferenceBatch:
        """Raw scores (B,) and maps of images (B, 3, H, W) float32 in [0, 1], as the test gave them."""
        batch = self.step(ImageBatch(image=images.to(self.module.device)))
        return InferenceBatch(pred_score=batch.pred_score.flatten(), anomaly_map=batch.anomaly_map)

    def scores(self, images: torch.Tensor, kind: str = "test") -> torch.Tensor:
        """Raw scores (B,) float32 on the CPU of images (B, 3, H, W) float32 in [0, 1]."""
        batch = self.step(ImageBatch(image=images.to(self.module.device)), kind)
        return batch.pred_score.flatten().float().cpu()

    def network(self, size: tuple[int, int]) -> TestedNetwork:
        """What an export traces, for images of ``size`` (H, W); see :class:`TestedNetwork`."""
        return TestedNetwork(self.module, size)


def prepare(module: Any, batch: Any, kind: str) -> Any:
    """What a trainer does to a batch before a step of ``kind``: the module's own hooks, and its pre-processor's.

    A pre-processor that is no callback is left out: a trainer never asks it, only anomalib's ``forward`` does.
    """
    for name in ("on_before_batch_transfer", "on_after_batch_transfer"):
        if hasattr(module, name):
            batch = getattr(module, name)(batch, 0)
    before = getattr(module, "pre_processor", None)
    if isinstance(before, Callback):
        getattr(before, f"on_{kind}_batch_start")(None, module, batch, 0)
    if hasattr(module, f"on_{kind}_batch_start"):
        getattr(module, f"on_{kind}_batch_start")(batch, 0)
    return batch


@contextmanager
def _raw(module: Any) -> Iterator[list[Any]]:
    """What the module's post-processor is given meanwhile, as by a step that calls ``forward``: it may clamp scores."""
    post, seen = getattr(module, "post_processor", None), []  # type: ignore[var-annotated]
    if not isinstance(post, torch.nn.Module):
        yield seen
        return
    handle = post.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        handle.remove()


def _takes_number(step: Callable[..., Any]) -> bool:
    """Whether a step asks for the batch's number; a trainer gives none to one that does not."""
    try:
        inspect.signature(step).bind(None, 0)
    except TypeError:
        return False
    return True


def prepared(module: Any, images: torch.Tensor) -> torch.Tensor:
    """Images (B, 3, H, W) as validation hands them to the network: what a calibration has to see."""
    return prepare(module, ImageBatch(image=images), "validation").image.as_subclass(torch.Tensor)


class TestedNetwork(torch.nn.Module):
    """Pre-processor and network as one module with a fixed input, for tracing.

    It takes the transform of the pre-processor, as exact as tracing allows, and ``module.model``. What else a plugin
    does to images or scores (steps, hooks) cannot be traced: the export compares its bundle with the tested run and
    refuses what differs.

    Args:
        module: An anomalib module, in evaluation mode.
        size: Height and width of the images that it takes.

    Raises:
        ValueError: if the pre-processor cuts, pads, flips or turns images, and the network draws heat maps: they would
            lie elsewhere.
    """

    __test__ = False

    def __init__(self, module: Any, size: tuple[int, int]) -> None:
        super().__init__()
        self.model = module.model
        self.part_names = tuple(getattr(module.model, "part_names", ()))
        self.size = size
        transform = _transform(module, size)
        self.transform = transform
        with torch.no_grad():
            image = torch.zeros(1, 3, *size, device=module.device)
            seen = image if transform is None else transform(image)
            heat = module.model(seen).anomaly_map
        if heat is not None and transform is not None and displaced(transform, size, module.device):
            height, width = seen.shape[-2:]
            raise ValueError(
                f"Its pre-processor cuts, pads, flips or turns images of {size[0]}×{size[1]} (to {height}×{width}), so "
                "its heat maps would not lie on the image. Cut in the data module instead "
                "(data.init_args.field_of_view), and train again."
            )
        self.moved = heat is not None and heat.shape[-2:] != size

    def forward(self, image: torch.Tensor) -> InferenceBatch:
        """Raw scores (B,) and maps (B, 1, H, W) of images (B, 3, H, W) float32 in [0, 1]."""
        return self._placed(self.model(self._seen(image)))

    def scored(self, image: torch.Tensor) -> tuple[InferenceBatch, torch.Tensor]:
        """The same, and the score's parts (B, len(part_names))."""
        found, parts = self.model.scored(self._seen(image))
        return self._placed(found), parts

    def _seen(self, image: torch.Tensor) -> torch.Tensor:
        return image if self.transform is None else self.transform(image)

    def _placed(self, found: InferenceBatch) -> InferenceBatch:
        if not self.moved or found.anomaly_map is None:
            return found
        return found._replace(anomaly_map=placed(found.anomaly_map, self.size))


def placed(heat: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Maps (B, 1, h, w) of a resized image, at the size (H, W) of the image itself."""
    if tuple(heat.shape[-2:]) == tuple(size):
        return heat
    return torch.nn.functional.interpolate(heat, size, mode="bilinear", align_corners=False)


def _flat(transform: Any) -> list[Any]:
    from torchvision.transforms.v2 import Compose

    if isinstance(transform, Compose):
        return [one for part in transform.transforms for one in _flat(part)]
    return [transform]


def _transform(module: Any, size: tuple[int, int]) -> Any:
    """The pre-processor's transform as one that can be traced; None if it does nothing."""
    from torchvision.transforms.v2 import Compose, Resize

    from medanomaly.anomalib_compat.transforms import convert_center_crop_transform

    before = getattr(module, "pre_processor", None)
    if not isinstance(before, Callback):
        return None
    transform = getattr(before, "transform", None)
    if transform is None:
        return None
    image = torch.zeros(1, 3, *size, device=module.device)
    kept = []
    for one in _flat(transform):
        after = one(image)
        # A resize to the size that is there changes nothing, and antialiasing is left on: what was tested had it.
        if not (isinstance(one, Resize) and after.shape == image.shape):
            kept.append(convert_center_crop_transform(one))
        image = after
    return (kept[0] if len(kept) == 1 else Compose(kept)) if kept else None
