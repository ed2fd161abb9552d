"""Make the sample table of a data module: list by the plugin, complete, check; a plugin's failure is named as such."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pandas as pd

from medanomaly import registry
from medanomaly.data import table as tables
from medanomaly.errors import MedAnomalyError
from medanomaly.failures import refused
from medanomaly.imaging import ImageError
from medanomaly.options import OptionError, one_line

T = TypeVar("T")


class DataError(MedAnomalyError, FileNotFoundError):
    """The data are not where they were looked for. The message says what is expected there and how to get it."""


class PluginFailedError(tables.TableError):
    """A data plugin's own code failed. The message names the plugin, the cause and the remedy; the cause is chained."""


class Listing(Protocol):
    """What is asked of a data module here; see :class:`medanomaly.data.datamodule.MedicalDataModule`."""

    root: Path
    normal: list[str]

    def prepare(self, root: Path) -> None:
        """Draw or download what is missing."""
        ...

    def samples(self, root: Path) -> pd.DataFrame:
        """List the images."""
        ...

    def missing(self, what: str) -> DataError:
        """The error for data that are not there."""
        ...


#: What a plugin raises to say in a sentence what is wrong.
_SAID = (DataError, tables.TableError, ImageError, OptionError, registry.PluginError)


def listed(module: Listing, addresses: bool) -> pd.DataFrame:
    """Draw or download what is missing, have the plugin list its images, complete the table and check it.

    Args:
        module: The data module.
        addresses: Whether its image paths are addresses of its own, which are left as they are.

    Raises:
        DataError: if the data are not there.
        TableError: if the table cannot be used.
        PluginFailedError: if the plugin's code raises anything else, or returns no table.
    """
    root = module.root
    _asked(module, "prepare", lambda: module.prepare(root))
    if not root.exists():
        raise module.missing("does not exist")
    table = _asked(module, "samples", lambda: module.samples(root))
    if not isinstance(table, pd.DataFrame):
        raise PluginFailedError(
            f"{_called(module)}: samples() returned {type(table).__name__}, and not a pandas DataFrame. "
            "Correct the plugin."
        )
    if not len(table):
        raise module.missing("holds no images")
    lacking = [name for name in tables.REQUIRED if name not in table.columns]
    if lacking:
        raise PluginFailedError(
            f"{_called(module)}: samples() returned a table that lacks the column(s) {', '.join(lacking)}. "
            "Correct the plugin."
        )
    table = tables.complete(table, module.normal)
    tables.check(table, module.normal)
    return tables.placed(table, root, ["mask_path"] if addresses else ["image_path", "mask_path"])


def _asked(module: Listing, method: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except _SAID:
        raise
    except Exception as error:
        if method == "prepare" and refused(error):  # a full disk is not the plugin's fault
            raise
        said = one_line(error)
        why = type(error).__name__ + (f": {said if len(said) <= 300 else f'{said[:297]}...'}" if said else "")
        raise PluginFailedError(
            f"{_called(module)}: {method}() failed on {module.root} ({why}). "
            "Correct the plugin, or what it reads there."
        ) from error


def _called(module: Any) -> str:
    """A data module by its plugin's name and distribution; by its class where it is no installed plugin."""
    cls = type(module)
    package = cls.__module__.partition(".")[0]
    for plugin in (plugin for same in registry.plugins("data").values() for plugin in same):
        if plugin.package == package and plugin.entry_point.value.rpartition(":")[2] == cls.__qualname__:
            return f"The data plugin '{plugin.name}' of distribution '{plugin.distribution}'"
    return f"The data module {cls.__module__}.{cls.__qualname__}"
