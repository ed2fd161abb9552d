"""Cache the images of a split: in memory where they fit, else in a memory-mapped file on disk."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medanomaly.data.cache_files import DamagedError, alive, finish, load, part_of, sweep, throw_away
from medanomaly.data.image_store import CHUNK, Arrays, nbytes
from medanomaly.imaging import ImageError
from medanomaly.streams import watched

logger = logging.getLogger(__name__)

#: Decoding releases Python's lock: two threads fill a batch about twice as fast as one on two cores.
_THREADS = 4
#: A pass over fewer images shows no progress bar.
_MANY = 500

#: Image (H, W, 3) float32 in [0, 1] and its mask (H, W) bool where it has one.
Pair = tuple[np.ndarray, "np.ndarray | None"]
Read = Callable[[int], Pair]


def _unknown() -> None:
    """The key of images whose files are not known."""


class CachedImages:
    """The images of one split by number, read on demand and kept.

    What comes back is bit by bit what reading anew would give.

    Args:
        read: Number to image (H, W, 3), float32 in [0, 1], and mask (H, W) of bool or None.
        number: How many there are.
        size: Height and width.
        masks: Whether masks are asked for.
        memory: Bytes up to which all of them are kept in memory; grey ones need a third.
        folder: Where they do not fit, they are kept below this folder; None for not at all.
        key: Changes whenever an image would read differently; the name of the files in ``folder``.
    """

    def __init__(
        self,
        read: Read,
        number: int,
        size: tuple[int, int],
        masks: bool,
        memory: int,
        folder: Path | None = None,
        key: Callable[[], str | None] = _unknown,
    ) -> None:
        self.read, self.number, self.size, self.masks = read, number, size, masks
        self._folder, self._key = folder, key
        #: Number to the reason why it cannot be read; filled by :meth:`verify`.
        self.errors: dict[int, str] = {}
        self._have = np.zeros(number, dtype=bool)
        fits = 0 < nbytes(number, size, 1, masks) <= memory
        self._memory = Arrays(number, size, masks, memory, None) if fits else None
        self._disk: Arrays | None = None
        self._disk_tried = folder is None

    def __getstate__(self) -> dict[str, Any]:
        """For worker processes: what is kept goes along, and they do not write to the folder."""
        return {**self.__dict__, "_key": _unknown, "_disk_tried": True}

    @property
    def ready(self) -> bool:
        """Whether all images are kept, so that fetching decodes nothing and worker processes would only copy."""
        return self._disk is not None or (self._memory is not None and bool(self._have.all()))

    def fetch(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Images (B, 3, H, W) float32 in [0, 1] and masks (B, H, W) bool, or None where none are asked for.

        Raises:
            ImageError: for the first one that cannot be read.
        """
        if self._memory is not None:
            missing = list(dict.fromkeys(row for row in rows if not self._have[row]))
            if missing:
                self._keep(missing, self._pairs(missing))
        if self._memory is None and not self._disk_tried:
            self._open(skip=False)
        kept = self._memory or self._disk
        return kept.get(torch.as_tensor(rows)) if kept else self._stack(rows)

    def fill(self) -> None:
        """Read everything that can be kept, so that worker processes start with it.

        Raises:
            ImageError: for the first one that cannot be read.
        """
        for start in range(0, self.number, CHUNK):
            if self._memory is None:
                break
            missing = [row for row in range(start, min(start + CHUNK, self.number)) if not self._have[row]]
            self._keep(missing, self._pairs(missing))
        if self._memory is None and not self._disk_tried:
            self._open(skip=False)

    def verify(self) -> dict[int, str]:
        """Read every image once, keep it where it fits; returns the reason for each number that cannot be read."""
        if self._memory is None and not self._disk_tried:
            self._open(skip=True)
        if self._disk is None:
            for rows, pairs in self._pass():
                if self._memory is not None:
                    self._keep(rows, pairs)
            if self._memory is None and not self._disk_tried:  # colour did not fit: only known on the way
                self._open(skip=True)
        return self.errors

    def _keep(self, rows: Sequence[int], pairs: Sequence[Pair]) -> None:
        for row, (image, mask) in zip(rows, pairs, strict=True):
            if self._memory is None or not self._memory.put(row, image, mask):
                self._memory = None
                return
            self._have[row] = True

    def _pairs(self, rows: Sequence[int]) -> list[Pair]:
        if len(rows) < 2:
            return [self.read(row) for row in rows]
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(self.read, rows))

    def _stack(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
        images = torch.empty(len(rows), 3, *self.size, memory_format=torch.channels_last)
        masks = torch.zeros(len(rows), *self.size, dtype=torch.bool) if self.masks else None
        for place, (image, mask) in enumerate(self._pairs(rows)):
            images[place] = torch.from_numpy(image).permute(2, 0, 1)
            if masks is not None and mask is not None:
                masks[place] = torch.from_numpy(mask)
        return images, masks

    def _try(self, row: int) -> Pair | str:
        try:
            return self.read(row)
        except ImageError as error:
            return str(error)

    def _pass(self) -> Iterator[tuple[list[int], list[Pair]]]:
        """All images in chunks, those that cannot be read noted and left out."""
        from rich.console import Console
        from rich.progress import track

        starts: Iterator[int] | range = range(0, self.number, CHUNK)
        if self.number > _MANY and watched():
            console = Console(stderr=True)
            starts = iter(track(starts, "Reading images", console=console, transient=True))
        with ThreadPoolExecutor(_THREADS) as pool:
            for start in starts:
                rows, pairs = [], []
                chunk = range(start, min(start + CHUNK, self.number))
                for row, outcome in zip(chunk, pool.map(self._try, chunk), strict=True):
                    if isinstance(outcome, str):
                        self.errors[row] = outcome
                    else:
                        rows.append(row)
                        pairs.append(outcome)
                yield rows, pairs

    def _open(self, skip: bool) -> None:
        """Open the files of this key, or make them."""
        self._disk_tried = True
        assert self._folder is not None
        key = self._key()
        if key is None:
            logger.warning("cache_dir is not used: these images have no file whose change could be noticed.")
            return
        place = self._folder / key
        try:
            found = self._found(place) or self._made(place, skip)
        except OSError as error:
            logger.warning("cache_dir %s is not used (%s): images are read anew each time.", self._folder, error)
            return
        self._disk = found
        if self.errors and not skip:
            self._disk = None
            raise ImageError(next(iter(self.errors.values())))

    def _found(self, place: Path) -> Arrays | None:
        """The files of an earlier run, checked; None where there are none, or none that may be used."""
        if not place.exists():
            return None
        try:
            return self._loaded(place)
        except DamagedError as error:
            logger.warning("%s. It is thrown away, and the images are read anew.", error)
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            throw_away(place)
        return None

    def _loaded(self, place: Path, verify: bool = True) -> Arrays:
        arrays, self.errors = load(place, self.number, self.size, self.masks, verify)
        return arrays

    def _made(self, place: Path, skip: bool) -> Arrays | None:
        """Write into a folder of this process alone; renaming it is what makes it visible to others, whole."""
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        sweep(self._folder)  # first: what is left there may take the room that is needed
        need = nbytes(self.number, self.size, 4, self.masks)  # grey and, where colour turns up late, colour
        if shutil.disk_usage(self._folder).free < need:
            raise OSError(f"{need >> 20} MiB are needed there")
        part = part_of(self._folder)
        try:
            arrays = Arrays(self.number, self.size, self.masks, sys.maxsize, part)
            for rows, pairs in self._pass():
                if self.errors and not skip:
                    raise ImageError(next(iter(self.errors.values())))
                for row, (image, mask) in zip(rows, pairs, strict=True):
                    arrays.put(row, image, mask)
                alive(part)
            if not arrays.images.numel():
                return None
            finish(part, place.name, arrays.channels, self.errors)
            try:
                part.rename(place)
            except OSError:  # another process was first: its files are the same
                return self._found(place)
            return self._loaded(place, verify=False)
        except DamagedError as error:  # gone again already: another process threw away what it found before
            raise OSError(str(error)) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
