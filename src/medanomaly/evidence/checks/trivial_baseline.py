"""Check against a trivial baseline: does an image statistic (mean, sharpness, redness, …) rank as well as the model?"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medanomaly.data.image_statistics import IMAGE_STATISTICS, SCALED
from medanomaly.data.measured_pixels import pictures, plain_and_scaled
from medanomaly.evidence.checks.context import CheckError, Context, tracked
from medanomaly.evidence.checks.paired_baseline import Values, compare
from medanomaly.evidence.checks.split_images import subset
from medanomaly.imaging import ImageError, Preprocessing
from medanomaly.imaging.decoded_image import DecodedImage

#: Largest number of images decoded again of a split; more would cost much time and add little.
MOST = 2000
FILE_SIZE = "file size"


def of_image(image: np.ndarray | DecodedImage, reading: Preprocessing, name: str = "image") -> dict[str, float]:
    """Every statistic of an image, in the field of view that the model sees, before it is resized.

    They are taken of the data: by the declared depth, in the data's own colours, and of the values that the
    intensity rule starts from. Where the rule scales them otherwise (``minmax``, ``percentile``, ``window``,
    ``equalise``), the same statistics follow of what it shows, called ``mean (as scaled)`` and so on.

    Args:
        image: (H, W, 3), RGB; or a picture, read as the reading's ``voi`` says.
        reading: How the model sees it.
        name: What errors call it.

    Raises:
        ImageError: if the field of view cannot be found in it.
    """
    picture = image if isinstance(image, DecodedImage) else DecodedImage.of(image)
    plain, scaled = plain_and_scaled(picture, reading, name)
    found = {name: take(plain) for name, take in IMAGE_STATISTICS.items()}
    if scaled is not None:
        found |= {name + SCALED: take(scaled) for name, take in IMAGE_STATISTICS.items()}
    return found


def check(context: Context) -> dict[str, Any]:
    """The record ``one_number``; synthetic anomalies and images that cannot be read again are left out."""
    table = getattr(context.module, "table", None)
    made: set[str] = set()
    if table is not None and "artificial" in table:
        made = set(table.loc[table["artificial"] != "", "image_path"])
    rows = np.flatnonzero(~context.predictions["path"].isin(made).to_numpy())
    rows = rows[context.sample(len(rows), MOST)]
    # Cut off by the field of view is also what the file's size speaks of.
    sizes = _reading(context).field_of_view == "none"
    test, good = _values(context, context.predictions.iloc[rows], "image statistics, test", sizes)
    if not len(good):
        raise CheckError("no test image can be read again from its address")
    listed = _of_validation(context)
    listed = listed[~listed["path"].isin(made)]
    drawn = listed.iloc[context.sample(len(listed), MOST)]
    validation = _values(context, drawn, "image statistics, validation", sizes)[0] if drawn["abnormal"].any() else None
    if validation is not None and FILE_SIZE in test.numbers and FILE_SIZE not in validation.numbers:
        test = Values({name: v for name, v in test.numbers.items() if name != FILE_SIZE}, test.abnormal, test.groups)
    left_out = len(context.predictions) - len(good)
    return {
        **compare(test, context.scores[rows[good]], validation),
        "left_out": left_out,
        "note": f"{left_out} test images had no part: synthetic, unreadable, or beyond {MOST}." if left_out else "",
    }


def _reading(context: Context) -> Preprocessing:
    """How the data module reads; of another than ours, the whole frame of the file."""
    return getattr(context.module, "reading", None) or Preprocessing((64, 64))


def _of_validation(context: Context) -> pd.DataFrame:
    """``path``, ``abnormal`` and ``group`` of validation images; empty where a foreign data module has none."""
    module = context.module
    table = getattr(module, "table", None)
    if table is not None:
        rows = module.usage.rows(table, "val") if hasattr(module, "usage") else table[table["split"] == "val"]
        return pd.DataFrame({"path": rows["image_path"], "abnormal": rows["abnormal"], "group": rows["group"]})
    try:
        data = subset(module, "val")
    except CheckError:
        return pd.DataFrame({"path": [], "abnormal": np.zeros(0, dtype=bool), "group": []})
    return pd.DataFrame({"path": data.paths, "abnormal": data.abnormal.numpy(), "group": data.samples["group"]})


def _values(context: Context, rows: pd.DataFrame, what: str, sizes: bool) -> tuple[Values, np.ndarray]:
    """Numbers of the images that can be read, and their positions among ``rows``."""
    reading, paths = _reading(context), rows["path"].tolist()
    picture = pictures(context.module)

    def look(path: str) -> dict[str, float] | None:
        try:
            return of_image(picture(path, reading.voi), reading, path)
        except (ImageError, OSError):
            return None

    with ThreadPoolExecutor(2) as pool:
        found = list(tracked(pool.map(look, paths), what, len(paths)))
    good = np.array([i for i, one in enumerate(found) if one is not None], dtype=np.int64)
    numbers = {name: np.array([found[i][name] for i in good]) for name in (found[good[0]] if len(good) else ())}
    bytes_ = _file_sizes([paths[i] for i in good]) if sizes else None
    if bytes_ is not None:
        numbers[FILE_SIZE] = bytes_
    abnormal, groups = rows["abnormal"].to_numpy(dtype=bool)[good], rows["group"].astype(str).to_numpy()[good]
    return Values(numbers, abnormal, groups), good


def _file_sizes(paths: Sequence[str]) -> np.ndarray | None:
    """Bytes of each file; None where an address is inside an archive."""
    try:
        return np.array([Path(path).stat().st_size for path in paths], dtype=np.float64)
    except OSError:
        return None
