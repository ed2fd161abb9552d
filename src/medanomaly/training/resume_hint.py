"""Print the command line that resumes a training which a signal ended."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from pathlib import Path


def resuming(args: Sequence[str], checkpoint: Path, seed: int | None = None) -> str:
    """The command line that goes on with a training.

    Args:
        args: The command and its arguments, as they were typed.
        checkpoint: The last whole checkpoint.
        seed: The run's seed, where it was drawn at random.

    Returns:
        A line for a shell; of an option given twice the last counts.
    """
    kept: list[str] = []
    skip = False
    for arg in args:
        if skip:
            skip = False
        elif arg == "--ckpt_path":
            skip = True
        elif not arg.startswith("--ckpt_path="):
            kept.append(arg)
    more = [] if seed is None else ["--seed", str(seed)]
    return shlex.join(["medanomaly", *kept, *more, "--ckpt_path", str(checkpoint)])


def stopped(signum: int, args: Sequence[str], checkpoint: Path | None, seed: int | None = None) -> str:
    """What to print after a signal.

    Args:
        signum: The signal.
        args, seed: As for :func:`resuming`.
        checkpoint: The last whole checkpoint; None if there is none.
    """
    name = f"medanomaly: Stopped by {signal.Signals(signum).name}."
    if not args or args[0] not in ("train", "fit"):
        return name
    if checkpoint is None or not checkpoint.is_file():
        return f"{name} No checkpoint was written yet."
    return f"{name} Go on with:\n{resuming(args, checkpoint, seed)}"
