"""What data a training reads, as a digest: a cell measured on other data no longer holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from tools.reproduce.paths import DATA, expand, folder
from tools.reproduce.training import LOOKS, Training

from medanomaly.data.dataset_digest import content_of, file_lines


def data_digest(training: Training, seed: int, quick: bool) -> str | None:
    """Of the images that a training and its further tests list, and of the files that it needs: 16 hex digits.

    Returns:
        None where the data are not here.
    """
    top = folder(DATA)
    if top is None or training.absent() is not None:
        return None
    with TemporaryDirectory(prefix="reproduce-") as name:
        work = Path(name)
        if training.prepare:
            training.prepare(work, seed)
        options = training.all_options(seed, quick)
        found = [_content(training, {**options, **more}, work) for more in ({}, *training.also.values())]
    if None in found:
        return None
    needs = [top / one for need in training.data for one in need.removeprefix(f"{DATA}/").split("|")]
    lines = [*map(str, found), *file_lines([path for path in needs if path.exists()], top)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _content(training: Training, options: Mapping[str, str], work: Path) -> str | None:
    """Content of the data that the configuration names, with the options laid over it as the command line does."""
    data = training.values["data"]
    arguments: dict[str, Any] = dict(data.get("init_args") or {})
    for name, value in options.items():
        argument = name.removeprefix(LOOKS)
        if name.startswith(LOOKS) and "." not in argument:  # what is inside an augmentation changes no file
            arguments[argument] = yaml.safe_load(expand(value, work))
    return content_of(options.get("--data", data["class_path"]), arguments)
