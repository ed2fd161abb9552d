"""``medanomaly data check``: what a careful person would want to know of a data set before training on it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import rankdata

from medanomaly.data.datamodule import MedicalDataModule
from medanomaly.data.one_number import ONE_NUMBER
from medanomaly.data.table import counts
from medanomaly.imaging import ImageError, Reading, decode_mask
from medanomaly.options import OptionError

_SHOWN = 20


@dataclass
class Report:
    """What was found.

    Args:
        counts: Images and groups for each split and label.
        sizes: How many images have which size, as ``width×height``.
        depths: How many images are stored as which type.
        unreadable: Images that cannot be read, or whose mask cannot or does not fit, with the reason.
        empty_masks: Masks that mark nothing at the size and in the field of view that the model sees.
        duplicates: Sets of images with the same pixels: their addresses and splits.
        one_number: For each number its AUROC on the test split (full frame, and as the model sees it) and over all
            images (full frame); None where a class is missing.
        notes: Labels and groups that were taken for others, see :attr:`MedicalDataModule.notes`.
    """

    counts: list[dict[str, Any]]
    sizes: Counter = field(default_factory=Counter)
    depths: Counter = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    empty_masks: list[str] = field(default_factory=list)
    duplicates: list[list[tuple[str, str]]] = field(default_factory=list)
    one_number: dict[str, dict[str, float | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def leaks(self) -> list[list[tuple[str, str]]]:
        """Duplicates that lie in more than one split: the model would be tested on what it learned."""
        return [same for same in self.duplicates if len({split for _, split in same}) > 1]

    @property
    def ok(self) -> bool:
        """Whether nothing leaks and everything can be read."""
        return not self.leaks and not self.unreadable


@dataclass
class _Seen:
    digest: str
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
    table = module.listed
    report = Report(counts(table), notes=module.notes)
    empty = report.empty_masks

    def look(path: str, mask_path: str) -> _Seen | str:
        try:
            image = module.decode(path)
            digest = hashlib.sha256(f"{image.dtype}{image.shape}".encode() + image.tobytes()).hexdigest()
            scaled = Reading(image.shape[:2]).prepare(image, path)  # its own size: scaled, not resized
            mask = decode_mask(mask_path) if mask_path else None
            read, seen_mask = module.reading.prepare_pair(image, mask, path, mask_path)
            if seen_mask is not None and not seen_mask.any():
                empty.append(mask_path)
        except ImageError as error:
            return str(error)
        full = {name: number(scaled) for name, number in ONE_NUMBER.items()}
        size = _file_size(path)
        if size is not None:
            full["file size"] = size
        return _Seen(
            digest,
            f"{image.shape[1]}×{image.shape[0]}",
            str(image.dtype),
            full,
            {name: number(read) for name, number in ONE_NUMBER.items()},
        )

    with ThreadPoolExecutor(2) as pool:
        outcomes: Iterable = pool.map(look, table["image_path"], table["mask_path"])
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
        same.setdefault(outcome.digest, []).append((path, split))
    report.duplicates = [images for images in same.values() if len(images) > 1]
    report.one_number = _one_number(table, good)
    return report


def _file_size(path: str) -> float | None:
    try:
        return float(Path(path).stat().st_size)
    except OSError:  # an address inside an archive
        return None


def _one_number(table: pd.DataFrame, good: list[tuple[int, _Seen]]) -> dict[str, dict[str, float | None]]:
    rows = [row for row, _ in good]
    abnormal = table["abnormal"].to_numpy(dtype=bool)[rows]
    test = (table["split"] == "test").to_numpy()[rows]
    found: dict[str, dict[str, float | None]] = {}
    for name in [*ONE_NUMBER, "file size"]:
        if any(name not in outcome.full for _, outcome in good):
            continue
        full = np.array([outcome.full[name] for _, outcome in good])
        found[name] = {"test": _auroc(full[test], abnormal[test]), "all": _auroc(full, abnormal)}
        if name in ONE_NUMBER:
            read = np.array([outcome.read[name] for _, outcome in good])
            found[name]["test, as read"] = _auroc(read[test], abnormal[test])
    return found


def _auroc(values: np.ndarray, abnormal: np.ndarray) -> float | None:
    positive, negative = int(abnormal.sum()), int((~abnormal).sum())
    if not positive or not negative:
        return None
    ranks = rankdata(values)
    return float((ranks[abnormal].sum() - positive * (positive + 1) / 2) / (positive * negative))


def show(report: Report, console: Console) -> None:
    """Print a report."""
    listing = Table("split", "label", "counts as", "images", "groups", title="Images", title_justify="left")
    for row in report.counts:
        kind = "normal" if row["normal"] else "abnormal"
        listing.add_row(row["split"], row["label"], kind, str(row["images"]), str(row["groups"]))
    console.print(listing)
    for note in report.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    for title, counter in (("Sizes", report.sizes), ("Stored as", report.depths)):
        most = ", ".join(f"{name} ({number})" for name, number in counter.most_common(5))
        more = f", and {len(counter) - 5} more" if len(counter) > 5 else ""
        console.print(f"{title}: {most}{more}")
    numbers = Table("number", "test", "test, as read", "all images", title_justify="left")
    numbers.title = "AUROC of one number an image (0.5: tells nothing; far from 0.5 either way: a model must beat it)"
    for name, values in report.one_number.items():
        shown = [values.get(column) for column in ("test", "test, as read", "all")]
        numbers.add_row(name, *("–" if value is None else f"{value:.2f}" for value in shown))
    console.print(numbers)
    within = [same for same in report.duplicates if same not in report.leaks]
    _show_duplicates(console, within, "inside one split")
    _show_duplicates(console, report.leaks, "ACROSS splits: a leak")
    for path, reason in report.unreadable[:_SHOWN]:
        console.print(f"Unreadable: {reason if path in reason else f'{path}: {reason}'}", highlight=False)
    if len(report.unreadable) > _SHOWN:
        console.print(f"and {len(report.unreadable) - _SHOWN} more unreadable images")
    if report.empty_masks:
        console.print(f"Masks that mark nothing in the field of view: {len(report.empty_masks)}")
    verdict = "No leak found; no group crosses splits." if report.ok else "Not fit for use as it is: see above."
    console.print(verdict)


def _show_duplicates(console: Console, duplicates: list[list[tuple[str, str]]], where: str) -> None:
    console.print(f"Sets of images with the same pixels {where}: {len(duplicates)}")
    for same in duplicates[:_SHOWN]:
        console.print("  " + " = ".join(f"{path} ({split})" for path, split in same), highlight=False, soft_wrap=True)
    if len(duplicates) > _SHOWN:
        console.print(f"  and {len(duplicates) - _SHOWN} more")


def load(config: Path, root: str | None = None, seed: int | None = None) -> MedicalDataModule:
    """The data module of a configuration, whose model and trainer are not looked at.

    Args:
        config: YAML with a section ``data``, as for training.
        root: Used instead of the configured ``root``.
        seed: As ``--seed`` of the training; of splits where the section names none.

    Raises:
        OptionError: if the file is missing, has no ``data`` section, or an option is wrong.
    """
    import yaml
    from jsonargparse import ArgumentError, ArgumentParser

    from medanomaly import blame, seeds
    from medanomaly.before_run import check_config
    from medanomaly.parsing import Typed, explain

    check_config("", config)
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    section = content.get("data")
    if isinstance(section, str):
        section = {"class_path": section}
    if not isinstance(section, dict):
        raise OptionError(f"{config}: has no section `data`, as for training.")
    if root:
        section["init_args"] = {**(section.get("init_args") or {}), "root": root}
    args = ["--config", str(config), *(["--root", root] if root else [])]
    parser, made = ArgumentParser(exit_on_error=False), blame.Blame()
    parser.add_subclass_arguments(MedicalDataModule, "data", required=True)
    parser.add_instantiator(made, object)
    if seed is None:
        said = content.get("seed", content.get("seed_everything"))
        seed = said if isinstance(said, int) else 0
    with seeds.own_run():
        seeds.set_run_seed(int(seed))
        try:
            return parser.instantiate_classes(parser.parse_object({"data": section})).data
        except ArgumentError as error:
            raise explain(str(error), parser, args) from error
        except Exception as error:
            wrong = blame.refused(made, {"data": section}, Typed(args))
            if wrong is None:
                raise
            raise wrong from error
