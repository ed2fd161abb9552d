"""Hash what a data module reads (``split_sha256``), so that a figure says which data it was measured on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from medanomaly.data.foreign_images import foreign_files
from medanomaly.data.table import TableError
from medanomaly.files import sha256
from medanomaly.imaging import joined, several

if TYPE_CHECKING:
    from medanomaly.data.datamodule import MedicalDataModule

#: Stands for the digest of data that are there and cannot be used: it equals no digest.
UNUSABLE = "unusable"
_LISTED = ("image_path", "label", "group", "split", "mask_path")


def content(module: MedicalDataModule) -> str:
    """SHA-256 (64 hex digits) of the listed images: label, group and split of each, and the bytes of every file.

    Files are named by their path below the module's root, so that the digest is one on every machine. Images inside
    an archive are told by the archive's bytes; where an address names no file, by all files below the root. The files
    of ``foreign`` synthetic anomalies count too. Options that change no file, such as the size, do not.

    Raises:
        DataError, TableError: if the data are not there or cannot be listed.
        OSError: if a file cannot be read.
    """
    table, root = module.listed, module.root
    files: set[Path] = set()
    lines = []
    for row in table[list(_LISTED)].astype(str).itertuples(index=False):
        image, label, group, split, mask = row
        masks = several(mask)
        lines.append("\t".join([_below(root, image), label, group, split, joined(_below(root, m) for m in masks)]))
        files.update(_files(root, image), *(_files(root, m) for m in masks))
    for anomaly in module.synthetic_anomalies:
        files.update(Path(file) for file in (foreign_files(anomaly.source) if anomaly.kind == "foreign" else ()))
    return _joined([*sorted(lines), *file_lines(files, root)])


def content_of(class_path: str, init_args: Mapping[str, Any]) -> str | None:
    """The :func:`content` of a configuration's data; None where they are not here, ``unusable`` where they are broken.

    Asked again, it reads nothing anew while no file below the root has changed its size or its times.

    Args:
        class_path: Path of a data module of ours.
        init_args: Its arguments, plain values; those that it does not take are left out, as the command line leaves
            out a configuration's where ``--data`` names another class.
    """
    from medanomaly.data.datamodule import DataError

    package, _, name = class_path.rpartition(".")
    kind = getattr(import_module(package), name)
    taken = {argument for base in kind.__mro__ for argument in signature(base.__init__).parameters}
    init_args = {argument: value for argument, value in init_args.items() if argument in taken}
    module = kind(**init_args)
    if not module.root.exists():  # else some plugins would download
        return None
    named = [Path(value) for value in init_args.values() if isinstance(value, str) and Path(value).is_absolute()]
    named += [Path(anomaly.source) for anomaly in module.synthetic_anomalies if anomaly.kind == "foreign"]
    key = (class_path, json.dumps(init_args, sort_keys=True, default=str), _stamps([module.root, *named]))
    if key not in _KNOWN:
        try:
            _KNOWN[key] = content(module)
        except DataError:
            _KNOWN[key] = None
        except TableError:
            _KNOWN[key] = UNUSABLE
    return _KNOWN[key]


_KNOWN: dict[tuple[str, str, int], str | None] = {}


def _stamps(paths: Iterable[Path]) -> int:
    """Changes whenever a file below the paths does: its name, its size or its times."""
    files = {inner for path in paths if path.exists() for inner in (_tree(path) if path.is_dir() else [path])}
    return hash(tuple(sorted((str(file), *_stamp(file)) for file in files)))


def digests(config: Path) -> dict[str, str | None]:
    """What decides a configuration's figures: of its values, whatever its comments, and of its data.

    Returns:
        ``config_sha256`` (12 hex digits) and ``data_sha256`` (16), the latter None where the data are not here.
    """
    values = yaml.safe_load(config.read_text(encoding="utf-8"))
    found = content_of(values["data"]["class_path"], values["data"].get("init_args") or {})
    said = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return {"config_sha256": said[:12], "data_sha256": found and found[:16]}


def changed(measured: Mapping[str, Any], now: Mapping[str, str | None]) -> str | None:
    """Why figures no longer hold, by the :func:`digests` they were measured with and those of today; None if they do.

    Data that are not here cannot be compared, and are taken for unchanged.
    """
    if measured.get("config_sha256") != now["config_sha256"]:
        return "the configuration has changed"
    if now["data_sha256"] is None or measured.get("data_sha256") == now["data_sha256"]:
        return None
    return "the data have changed" if measured.get("data_sha256") else "its data were not recorded"


def file_lines(files: Iterable[Path], root: Path) -> list[str]:
    """Path below ``root`` and SHA-256 of each file, sorted; a folder stands for all files in it."""
    every = {inner for file in files for inner in (_tree(file) if file.is_dir() else (file,))}
    return sorted(f"{_below(root, str(file))}\t{_digest(file)}" for file in every)


def _joined(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _below(root: Path, path: str) -> str:
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else Path(path).name


def _files(root: Path, address: str) -> tuple[Path, ...]:
    """The files behind an address, or the root where it names none."""
    for name in (address, address.rpartition("#")[0]):
        if name and Path(name).is_file():
            return (Path(name),)
    return (root,)


def _tree(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _stamp(file: Path) -> tuple[int, int, int]:
    known = file.stat()
    # The time of the last change of its entry cannot be set back.
    return known.st_size, known.st_mtime_ns, known.st_ctime_ns


def _digest(file: Path) -> str:
    return _hashed(str(file), _stamp(file))


@cache
def _hashed(path: str, _stamp: tuple[int, int, int]) -> str:
    """SHA-256 of a file, read once a process while its size and its times stay."""
    return sha256(Path(path))
