"""Shared images check: are test images also in validation or training?

Told by address, by content of the file under another name, and by decoded pixels. What it costs: a look at each file's
size; three short pieces of files of equal size, and the whole of those whose pieces agree; and at most 1,000 decoded
images against validation, as many against training. Images whose validation and test scores differ have other pixels
and are not decoded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medanomaly.data.measured_pixels import digest as digest_of_values
from medanomaly.data.measured_pixels import pictures, stored
from medanomaly.evidence.checks.context import CheckError, Context, tracked
from medanomaly.files import sha256
from medanomaly.imaging import ImageError
from medanomaly.imaging import decode as decode_file

#: Largest number of images of each of two splits that are decoded.
MOST = 500
#: Bytes of each of the three pieces, from beginning, middle and end, by which files are compared first.
_PIECE = 4096
#: Scores of equal pixels differ by rounding alone: by at most these shares of their spread and of themselves.
_OF_SPREAD, _OF_SCORE = 1e-4, 1e-4


@dataclass
class Listed:
    """Images of a split.

    Args:
        paths: Their addresses: files, frames of files, or entries of archives.
        groups: Group of each; the address, or "", where it is not known.
        scores: Raw scores (n,) of each, or None.
    """

    paths: list[str]
    groups: list[str] = field(default_factory=list)
    scores: np.ndarray | None = None


def compare(
    test: Listed, other: Listed, digest: Callable[[str], str | None] | None = None, seed: int = 0
) -> dict[str, Any]:
    """How many test images are among other images too.

    Args:
        test: Images of the test.
        other: Images of validation or of training.
        digest: What tells an address's pixels; None where it has none. By default :func:`digest_of` files.
        seed: Draws the images that are decoded, where there are too many.

    Returns:
        ``{"images", "shared", "by_address", "by_file", "by_pixels", "by_group", "decoded"}``: other images; test images
        among them, and how each was found first; further test images whose group is among theirs; and how many images
        were decoded.
    """
    here = [_address(path) for path in test.paths]
    there = {_address(path) for path in other.paths}
    known = np.array([path in there for path in here], dtype=bool)
    by_address = int(known.sum())
    twins = _same_files([path for path, seen in zip(here, known, strict=True) if not seen], there)
    known |= np.array([path in twins for path in here], dtype=bool)
    by_file = int(known.sum()) - by_address
    found, decoded = _same_pixels(test, other, np.flatnonzero(~known), digest or digest_of(decode_file), seed)
    known[found] = True
    groups = {group for group in other.groups if group} - set(other.paths)
    of_group = np.array([group in groups for group in test.groups or [""] * len(here)], dtype=bool)
    return {
        "images": len(other.paths),
        "shared": int(known.sum()),
        "by_address": by_address,
        "by_file": by_file,
        "by_pixels": len(found),
        "by_group": int((of_group & ~known).sum()),
        "decoded": decoded,
    }


def check(context: Context) -> dict[str, Any]:
    """The record ``shared_images``; synthetic anomalies are other images than those they are made from."""
    made = _synthetic(context.module)
    rows = context.predictions[~context.predictions["path"].isin(made)]
    test = _of_table(rows)
    validation, training = _validation(context, made), _listed(context.module, "train", made)
    if validation is None and training is None:
        raise CheckError("neither validation nor training images are known")
    picture = pictures(context.module)
    digest = digest_of(lambda path: stored(picture(path, False)))
    others = {"validation": validation, "training": training}
    found = {
        name: None if other is None else compare(test, other, digest, context.seed) for name, other in others.items()
    }
    return {"images": len(test.paths), **found}


def _of_table(rows: pd.DataFrame) -> Listed:
    scores = rows["raw_score"].to_numpy(dtype=np.float64) if "raw_score" in rows else None
    groups = rows["group"].astype(str).tolist() if "group" in rows else []
    return Listed(rows["path"].astype(str).tolist(), groups, scores)


def _synthetic(module: Any) -> set[str]:
    table = getattr(module, "table", None)
    if table is None or "artificial" not in table:
        return set()
    return set(table.loc[table["artificial"] != "", "image_path"])


def _validation(context: Context, made: set[str]) -> Listed | None:
    """Images that the threshold was chosen on; where no operating point of ours kept them, the data module's."""
    rows = context.validation
    if rows is not None:
        rows = rows[rows["path"].astype(str).ne("") & ~rows["path"].isin(made)]
        return _of_table(rows) if len(rows) else None
    return _listed(context.module, "val", made)


def _listed(module: Any, split: str, made: set[str]) -> Listed | None:
    """What a data module lists of a split: by our table, or by a data set's samples; None where neither is known."""
    table = getattr(module, "table", None)
    if table is not None and "split" in table:
        rows = module.usage.rows(table, split) if hasattr(module, "usage") else table[table["split"] == split]
    else:
        rows = getattr(getattr(module, f"{split}_data", None), "samples", None)
    if not isinstance(rows, pd.DataFrame) or "image_path" not in rows:
        return None
    rows = rows[~rows["image_path"].isin(made)]
    groups = rows["group"].astype(str).tolist() if "group" in rows else []
    return Listed(rows["image_path"].astype(str).tolist(), groups) if len(rows) else None


def _address(path: str) -> str:
    """One spelling of a file, whatever links and steps lead to it; an address of another kind as it is."""
    return os.path.realpath(path) if Path(path).exists() else path


def _same_files(first: Iterable[str], second: Iterable[str]) -> set[str]:
    """Those of the first files that have the bytes of one of the second; no image twice in both."""
    one: dict[str, tuple[Any, ...]]
    two: dict[str, tuple[Any, ...]]
    one, two = ({path: (_size(path),) for path in paths} for paths in (set(first), set(second)))
    for learn in (None, _pieces, _whole):
        if learn is not None:
            one, two = ({path: (*known, learn(path)) for path, known in files.items()} for files in (one, two))
        both = (set(one.values()) & set(two.values())) - {(0,)}
        one, two = ({path: known for path, known in files.items() if known in both} for files in (one, two))
    return set(one)


def _size(path: str) -> int:
    """Bytes of a file; 0 where an address is none."""
    try:
        return Path(path).stat().st_size if Path(path).is_file() else 0
    except OSError:
        return 0


def _pieces(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            found = hashlib.sha256()
            for place in (0, size // 2, max(0, size - _PIECE)):
                file.seek(place)
                found.update(file.read(_PIECE))
            return found.hexdigest()
    except OSError:
        return path


def _whole(path: str) -> str:
    try:
        return sha256(Path(path))
    except OSError:
        return path


def _same_pixels(
    test: Listed, other: Listed, rows: np.ndarray, digest: Callable[[str], str | None], seed: int
) -> tuple[list[int], int]:
    """Those of the test rows whose pixels another image has, and how many images were decoded for it."""
    mine, theirs = _candidates(test, other, rows, seed)
    paths = [test.paths[i] for i in mine] + [other.paths[i] for i in theirs]
    with ThreadPoolExecutor(2) as pool:
        found = list(tracked(pool.map(digest, paths), "images in two splits", len(paths)))
    there = set(found[len(mine) :]) - {None}
    return [int(i) for i, digest in zip(mine, found, strict=False) if digest in there], len(paths)


def digest_of(decode: Callable[[str], np.ndarray]) -> Callable[[str], str | None]:
    """What tells an address's pixels: None where they cannot be read, and for a blank image, which is nobody's.

    Args:
        decode: Address to a decoded image, any shape. Each is decoded once.
    """

    @cache
    def digest(path: str) -> str | None:
        try:
            image = np.ascontiguousarray(decode(path))
        except (ImageError, OSError, ValueError, KeyError):
            return None
        return digest_of_values(image)

    return digest


def _candidates(test: Listed, other: Listed, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of images that may have equal pixels, at most 500 of each side."""
    theirs = np.arange(len(other.paths))
    if not len(rows) or not len(theirs):
        return rows[:0], theirs[:0]
    rng = np.random.default_rng(seed)
    rows, theirs = rng.permutation(rows), rng.permutation(theirs)
    if test.scores is not None and other.scores is not None:
        mine, others = test.scores[rows], other.scores[theirs]
        rows, theirs = rows[_closest(_nearest(mine, others))], theirs[_closest(_nearest(others, mine))]
    return rows[:MOST], theirs[:MOST]


def _nearest(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each score (n,) to the nearest of the others, in units of what rounding explains."""
    spread = float(np.nanstd(np.concatenate([scores, others])))
    ordered = np.sort(others)
    after = np.clip(np.searchsorted(ordered, scores), 1, max(1, len(ordered) - 1))
    sides = [np.abs(scores - ordered[np.minimum(at, len(ordered) - 1)]) for at in (after - 1, after)]
    unit = _OF_SPREAD * spread + _OF_SCORE * np.abs(scores)
    return np.minimum(*sides) / np.where(unit > 0, unit, 1.0)


def _closest(distance: np.ndarray) -> np.ndarray:
    """Positions within what rounding explains, the closest first."""
    order = np.argsort(distance, kind="stable")
    return order[distance[order] <= 1]
