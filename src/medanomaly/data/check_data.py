"""``medanomaly data check``: counts, sizes, duplicates, leaks and image statistics of a data set before training."""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from medanomaly.data.check_report import Report
from medanomaly.data.check_summary import show, written
from medanomaly.data.datamodule import MedicalDataModule
from medanomaly.data.dataset import RowReader
from medanomaly.data.image_statistics import IMAGE_STATISTICS
from medanomaly.data.measured_pixels import digest, pictures, shallow, stored
from medanomaly.data.table import counts
from medanomaly.imaging import ImageError
from medanomaly.metrics.ranking import auroc

__all__ = ["Report", "check", "show", "written"]


@dataclass
class _Seen:
    digest: str | None
    shallow: bool
    size: str
    depth: str
    full: dict[str, float]
    read: dict[str, float]


def check(module: MedicalDataModule, progress: bool = False) -> Report:
    """Read every image of a data module once and report on it.

    The table's own checks (groups across splits, images listed twice, classes absent) raise as in training.

    Args:
        module: The data module.
        progress: Show a progress bar on stderr.

    Raises:
        DataError, TableError: as in training.
    """
    table, reading = module.listed, module.reading
    report = Report(counts(table), notes=module.notes, intensity=reading.intensity)
    empty = report.empty_masks
    # The very function that feeds the model.
    as_read = RowReader(table, reading, module.decode if module.decodes else None, True, module.root, seed=0)
    picture, whole = pictures(module), replace(reading, field_of_view="none")

    def look(row: int) -> _Seen | str:
        path = as_read.paths[row]
        try:
            kept = picture(path, False)
            # Of DICOM alone, whose grey values are floats, a window may show something else.
            shown = picture(path, True) if reading.voi and kept.pixels.dtype == np.float32 else kept
            frame = whole.native(shown, path)
            full = {name: statistic(frame) for name, statistic in IMAGE_STATISTICS.items()}
            read, mask = as_read(row)
            if mask is not None and not mask.any():
                empty.append(as_read.mask_paths[row])
        except ImageError as error:
            return str(error)
        size, values = _file_size(path), digest(stored(kept))
        if size is not None:
            full["file size"] = size
        return _Seen(
            values,
            reading.voi and values is not None and shallow(shown),
            f"{kept.shape[1]}×{kept.shape[0]}",
            str(kept.pixels.dtype),
            full,
            {name: statistic(read) for name, statistic in IMAGE_STATISTICS.items()},
        )

    with ThreadPoolExecutor(2) as pool:
        outcomes: Iterable = pool.map(look, range(len(table)))
        if progress:
            outcomes = track(outcomes, "Reading", total=len(table), console=Console(stderr=True))
        seen = list(outcomes)
    same: dict[str, list[tuple[str, str]]] = {}
    good: list[tuple[int, _Seen]] = []
    for row, outcome in enumerate(seen):
        path, split = table["image_path"].iloc[row], table["split"].iloc[row]
        if isinstance(outcome, str):
            report.unreadable.append((path, outcome))
            continue
        good.append((row, outcome))
        report.sizes[outcome.size] += 1
        report.depths[outcome.depth] += 1
        if outcome.shallow:
            report.shallow.append(path)
        if outcome.digest is None:
            report.blank.append(path)
        else:
            same.setdefault(outcome.digest, []).append((path, split))
    report.duplicates = [images for images in same.values() if len(images) > 1]
    report.one_number = _image_statistics(table, good)
    return report


def _file_size(path: str) -> float | None:
    try:
        return float(Path(path).stat().st_size)
    except OSError:  # an address inside an archive
        return None


def _image_statistics(table: pd.DataFrame, good: list[tuple[int, _Seen]]) -> dict[str, dict[str, float | None]]:
    rows = [row for row, _ in good]
    abnormal = table["abnormal"].to_numpy(dtype=bool)[rows]
    test = (table["split"] == "test").to_numpy()[rows]
    found: dict[str, dict[str, float | None]] = {}
    for name in [*IMAGE_STATISTICS, "file size"]:
        if any(name not in outcome.full for _, outcome in good):
            continue
        full = np.array([outcome.full[name] for _, outcome in good])
        found[name] = {"test": _auroc(full[test], abnormal[test]), "all": _auroc(full, abnormal)}
        if name in IMAGE_STATISTICS:
            read = np.array([outcome.read[name] for _, outcome in good])
            found[name]["test, as read"] = _auroc(read[test], abnormal[test])
    return found


def _auroc(values: np.ndarray, abnormal: np.ndarray) -> float | None:
    found = auroc(values, abnormal)
    return None if math.isnan(found) else found
