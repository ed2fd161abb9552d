"""Remove from a bundle what may name a patient or a user: paths and file names.

A bundle is passed on; the run's own records, which hold all of this, stay where they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import onnx

from medanomaly.evidence import predictions
from medanomaly.evidence.run_layout import PREDICTIONS, SPLIT, VALIDATION

#: Stands for what is left out.
GAP = "…"

#: A check that broke says ``Kind: what the kind said``, and that may name a file.
_BROKE = re.compile(r"([A-Za-z_.]*(?:Error|Exception|Interrupt|Warning)): .*", re.DOTALL)


def without_folders(value: Any) -> Any:
    """Options, with the last part alone of every text that is a path, such as that of a file of weights."""
    if isinstance(value, Mapping):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(item) for item in value]
    if isinstance(value, str) and re.search(r"[/\\]", value):
        return PurePosixPath(PureWindowsPath(value).as_posix()).name
    return value


def without_errors(check: Any) -> Any:
    """The record of a check; of one that broke the kind of its error alone."""
    if not isinstance(check, Mapping):
        return check
    reason = check.get("reason")
    broke = _BROKE.fullmatch(reason) if isinstance(reason, str) else None
    return {**check, "reason": broke[1]} if broke else dict(check)


def names_of(folder: Path, options: Mapping[str, Any]) -> set[str]:
    """What a run calls its files: paths, the names of files, and the folders that the data's options name.

    Args:
        folder: The run's.
        options: Of its data module.
    """
    found = {str(folder), str(folder.resolve())}
    for name in (PREDICTIONS, VALIDATION, SPLIT):
        if (folder / name).is_file():
            table = predictions.read(folder / name)
            found |= {
                str(cell) for column in ("path", "image_path", "mask_path") if column in table for cell in table[column]
            }
    # A name without a suffix may be any word.
    found |= {name for path in found if "." in (name := PurePosixPath(PureWindowsPath(path).as_posix()).name)}
    found |= {path for path in _texts(options) if re.search(r"[/\\]", path)}
    return {name for name in found if len(name) > 3}


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def without_names(value: Any, names: Collection[str]) -> Any:
    """A record, with ``…`` for each of ``names`` that stands in one of its texts."""
    there = "\n".join(_texts(value))
    held = sorted((name for name in names if name in there), key=len, reverse=True)
    if not held:
        return value
    pattern = re.compile("|".join(map(re.escape, held)))
    return json.loads(json.dumps(value), object_hook=lambda found: {k: _cleared(v, pattern) for k, v in found.items()})


def _cleared(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(GAP, value)
    return [_cleared(item, pattern) for item in value] if isinstance(value, list) else value


def strip_traces(file: Path) -> None:
    """Take from an ONNX file what the exporter notes of the code behind each node: paths of the machine it ran on.

    Raises:
        OSError: if it cannot be written.
    """
    model = onnx.load(file)
    model.ClearField("metadata_props")
    for holder in (model.graph, *model.functions):
        _strip(holder)
    onnx.save(model, file)


def _strip(holder: Any) -> None:
    """A graph or a function, and the graphs inside its nodes."""
    named = [name for name in ("input", "output", "value_info", "initializer") if hasattr(holder, name)]
    parts = [part for name in named for part in getattr(holder, name) if not isinstance(part, str)]
    for part in (holder, *parts, *holder.node):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    for node in holder.node:
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _strip(inner)
