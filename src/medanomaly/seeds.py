"""The run's seed (``--seed``), for whatever is not given a seed of its own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from medanomaly.options import OptionError, wrong_value

#: Largest seed: NumPy's generators and lightning take no larger one.
LARGEST = 2**32 - 1

#: Where lightning's ``seed_everything`` notes what it was given, for the processes that it starts too.
NOTE = "PL_GLOBAL_SEED"

_RUN: ContextVar[int | None] = ContextVar("run_seed", default=None)


@contextmanager
def own_run() -> Iterator[None]:
    """Forget the run's seed, and lightning's note of it, at the end: the next run in this process starts anew."""
    token, note = _RUN.set(None), os.environ.get(NOTE)
    try:
        yield
    finally:
        _RUN.reset(token)
        put_note(note)


def set_run_seed(seed: int) -> None:
    """Make ``seed`` the run's, as the command line does."""
    _RUN.set(seed)


def run_seed() -> int | None:
    """The run's seed, 0 to 2³² - 1: the command line's, else what lightning was seeded with; None for neither."""
    seed = _RUN.get()
    note = os.environ.get(NOTE, "")
    return int(note) if seed is None and note.isdigit() else seed


def command_seed() -> int:
    """The seed of the command that runs; 0 outside of one."""
    return _RUN.get() or 0


def seed_of(model: Any) -> int:
    """The seed of a model that is to be trained: its option ``seed``, else the run's, else 0."""
    own = dict(getattr(model, "hparams", None) or {}).get("seed")
    return int(own) if own is not None else run_seed() or 0


def known_seed(model: Any) -> int | None:
    """The seed that a model's weights come from; None where nobody seeded them.

    Ours remember it, over checkpoints too; of others it is their option ``seed``, else the run's.
    """
    trained = getattr(model, "trained_with", None)
    if trained is not None:
        return int(trained)
    own = dict(getattr(model, "hparams", None) or {}).get("seed")
    return run_seed() if own is None else int(own)


def put_note(note: str | None) -> None:
    """Put lightning's note back to what it was."""
    if note is None:
        os.environ.pop(NOTE, None)
    else:
        os.environ[NOTE] = note


def drawn(later: bool) -> int:
    """A seed drawn at random; a later process of several takes that of the first, which started it.

    Raises:
        OptionError: if the first process did not start this one, so that each would draw its own.
    """
    if not later:
        return secrets.randbelow(LARGEST + 1)
    note = os.environ.get(NOTE, "")
    if not note.isdigit():
        raise OptionError("--seed true: each of the launched processes would draw its own seed. Name a number.")
    return int(note)


def check(option: str, value: Any) -> None:
    """Refuse what is no seed.

    Raises:
        OptionError: unless ``value`` is None or a whole number from 0 to 2³² - 1.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST):
        raise wrong_value(option, value, f"a seed is a whole number from 0 to {LARGEST}", ())
