"""Silence foreign messages on standard error, while a run must not quote its files."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings and logs of libraries, which may quote a file or a header, are not printed meanwhile, in any thread."""
    before = logging.root.manager.disable
    with warnings.catch_warnings(), _own_stderr():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(before)


@contextmanager
def _own_stderr() -> Iterator[None]:
    """Only Python writes to standard error: decoders in C write there too, as OpenCV the first bytes of a bad AVI."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    given = sys.stderr
    try:
        direct = given is not None and given.fileno() == 2
    except (OSError, ValueError):  # replaced by what is no file
        direct = False
    if direct:
        given.flush()
        sys.stderr = open(kept, "w", encoding=given.encoding, errors=given.errors, buffering=1, closefd=False)  # noqa: SIM115
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        if direct:
            sys.stderr.flush()
            sys.stderr = given
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
