"""Keys that lightning and anomalib put into a checkpoint, and how far its training came."""

from __future__ import annotations

from typing import Any

#: Begins the keys of the post-processor's buffers in the ``state_dict``.
_BUFFERS = "post_processor."

#: Holds the post-processor's options.
_OPTIONS = "anomalib_post_processor_config"


def replace_post_processor(checkpoint: dict[str, Any], post: Any) -> None:
    """Put a post-processor's buffers and options in place of a checkpoint's own; the rest stays."""
    state = checkpoint["state_dict"]
    for name in [name for name in state if name.startswith(_BUFFERS)]:
        del state[name]
    state.update({_BUFFERS + name: value for name, value in post.state_dict().items()})
    checkpoint[_OPTIONS] = post.checkpoint_config()


def weights_checkpoint(trainer: Any) -> dict[str, Any]:
    """A trainer's checkpoint without the state of training; waits for no other process."""
    return trainer._checkpoint_connector.dump_checkpoint(weights_only=True)


def trained_epochs(trainer: Any) -> int:
    """Whole epochs that a trainer has trained."""
    return trainer.fit_loop.epoch_progress.current.completed


def checkpoint_epochs(checkpoint: dict[str, Any]) -> int:
    """Epochs that were trained when a checkpoint was written."""
    try:
        return int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
    except (KeyError, TypeError, ValueError):
        return int(checkpoint.get("epoch", 0))
