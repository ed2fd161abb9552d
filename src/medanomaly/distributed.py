"""Training in several processes (lightning's ``ddp``): gather, broadcast and average over ranks.

Each process ("rank") sees a share of every batch. Whatever decides a figure, such as thresholds, densities and
predictions, is made from all shares, in the order in which one process alone would have seen them. With a single
process every function here returns what it was given and talks to nobody.

All ranks must come to each of these calls, and in the same order: one that is left out waits for ever.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar

import torch
from torch import distributed, nn

T = TypeVar("T")


def world_size() -> int:
    """Number of processes that work together; 1 for one alone."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Number of this process among them, from 0."""
    return distributed.get_rank() if world_size() > 1 else 0


def gather_numbers(value: float) -> list[float]:
    """One number of each rank, by rank."""
    if world_size() == 1:
        return [value]
    found: list[Any] = [None] * world_size()
    distributed.all_gather_object(found, value)
    return found


def loss_factor(weight: float) -> float:
    """Factor for the mean loss of this rank's images, so that the mean over ranks is the mean over all images.

    Args:
        weight: Number of the rank's images, or the sum of their weights.

    Returns:
        ``weight`` divided by its mean over the ranks: 1 where all have the same.
    """
    weights = gather_numbers(weight)
    return weight * len(weights) / sum(weights) if len(weights) > 1 else 1.0


def broadcast(value: T) -> T:
    """The first rank's value, a picklable object, on every rank: where rounding of two machines could part them."""
    if world_size() == 1:
        return value
    carried = [value]
    distributed.broadcast_object_list(carried, src=0)
    return carried[0]


def sync_buffers(module: nn.Module) -> None:
    """Give every rank the first one's buffers, whatever their shapes."""
    if world_size() == 1:
        return
    first = broadcast({name: buffer.cpu() for name, buffer in module.named_buffers()})
    for name, value in first.items():
        owner, _, leaf = name.rpartition(".")
        held = module.get_submodule(owner)
        old = getattr(held, leaf)
        if old.shape != value.shape or not torch.equal(old.cpu(), value):
            setattr(held, leaf, value.to(old.device))


def interleave(parts: Sequence[Sequence[T]], at_most: int | None = None) -> list[T]:
    """Shares in the order of the data set: a distributed sampler deals items out one by one.

    Args:
        parts: Items of each rank, by rank.
        at_most: Length of the data set, where samplers repeat items to make the shares equal; these come last.

    Returns:
        First items of all ranks, then second ones, and so on.
    """
    longest = max(map(len, parts))
    return [part[i] for i in range(longest) for part in parts if i < len(part)][:at_most]


def gather_rows(rows: list[T], at_most: int | None = None) -> list[T]:
    """Every rank's picklable rows on every rank, :func:`interleave`."""
    if world_size() == 1:
        return rows
    parts: list[Any] = [None] * world_size()
    distributed.all_gather_object(parts, rows)
    return interleave(parts, at_most)


def gather_batch(batch: Any, at_most: int | None = None) -> Any:
    """A batch of all ranks, :func:`interleave`, on the first rank; None on the others.

    Args:
        batch: With attributes that are tensors (B, …), lists of B, or None; None for a rank that has none left.
        at_most: So many images of it are kept.

    Returns:
        An object with the same attributes on the CPU; the batch itself with a single process. None without images.
    """
    if world_size() == 1:
        return batch
    fields = {} if batch is None else {name: _carried(value) for name, value in vars(batch).items()}
    parts: list[Any] | None = [None] * world_size() if rank() == 0 else None
    distributed.gather_object(fields, parts, dst=0)
    if parts is None or not any(parts):
        return None
    names = next(part for part in parts if part)
    parts = [part for part in parts if part]
    return SimpleNamespace(**{name: _merged([part.get(name) for part in parts], at_most) for name in names})


def _carried(value: Any) -> Any:
    # A plain tensor: torchvision's subclasses would be pickled with their class.
    return value.detach().as_subclass(torch.Tensor).cpu() if isinstance(value, torch.Tensor) else value


def _merged(values: list[Any], at_most: int | None) -> Any:
    if any(value is None for value in values):
        return None
    if isinstance(values[0], torch.Tensor):
        return torch.stack(interleave([value.unbind() for value in values], at_most)) if at_most != 0 else values[0][:0]
    return interleave(values, at_most)


def dataset_length(loaders: Any) -> int | None:
    """Images in a trainer's loader; None if it cannot be told."""
    first = loaders[0] if isinstance(loaders, (list, tuple)) and len(loaders) == 1 else loaders
    try:
        return len(first.dataset)
    except (AttributeError, TypeError):
        return None


# Training by hand: gradients and statistics over the whole batch.


class _Total(torch.autograd.Function):
    """Sum over ranks; its gradient is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        del ctx
        value = value.clone()
        distributed.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        del ctx
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient


def batch_mean(value: torch.Tensor) -> torch.Tensor:
    """Mean (1, …) of (B, …) over the images of all ranks, with its gradient for all of them."""
    if world_size() == 1:
        return value.mean(dim=0, keepdim=True)
    return _Total.apply(value.sum(dim=0, keepdim=True)) / sum(gather_numbers(len(value)))


def unsynced(model: Any) -> Any:
    """Context in which backward leaves gradients to :func:`mean_gradients`, for training by several optimisers.

    DDP's own reduction expects one backward pass a step that reaches every parameter.

    Args:
        model: ``trainer.model``, wrapped for DDP or not.
    """
    return model.no_sync() if world_size() > 1 and hasattr(model, "no_sync") else contextlib.nullcontext()


def mean_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their mean over ranks. All ranks must have gradients of the same parameters."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if world_size() == 1 or not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
