"""Old names of modules, functions and classes: they work for one release, and warn with the new name.

Version 0.2 moved every module into the room of its purpose. This file is all that remembers the old places: the tables
of ``_moved_names``, and a finder for the modules that are gone. Delete both files with the release after 0.2, and the
lines ``__getattr__ = old_names(__name__)`` with it.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from medanomaly._moved_names import MODULES, NAMES


class RenamedWarning(FutureWarning):
    """An old name was used. The message says the new one."""


def warn(old: str, new: str, stacklevel: int = 3) -> None:
    """Say once a place that a name has changed.

    Args:
        old: The name that was used.
        new: The name to use.
        stacklevel: Whose line is named, as in :func:`warnings.warn`.
    """
    warnings.warn(
        f"{old} is {new} now. The old name works in this release and not in the next.",
        RenamedWarning,
        stacklevel=stacklevel,
    )


@contextmanager
def silently() -> Iterator[None]:
    """Old names within are not warned of: for those that a run recorded, which nobody can write anew."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RenamedWarning)
        yield


def new_name(module: str, name: str) -> tuple[str, str] | None:
    """Module and name that stand for an old ``module.name`` today; None if the name has not changed there."""
    found = NAMES.get(module, {}).get(name)
    if found is None:
        return None
    where, _, what = found.rpartition(".")
    return where, what


def old_names(module: str) -> Callable[[str], Any]:
    """``__getattr__`` of a module that stayed, for names that it had before."""

    def getattr_(name: str) -> Any:
        found = new_name(module, name)
        if found is None:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        warn(f"{module}.{name}", ".".join(found))
        return getattr(importlib.import_module(found[0]), found[1])

    return getattr_


class _Old(ModuleType):
    """A module under its old name: what it is asked for comes from the new places."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        where, what = new_name(self.__name__, name) or (MODULES[self.__name__], name)
        return getattr(importlib.import_module(where), what)

    def __dir__(self) -> list[str]:
        return [*dir(importlib.import_module(MODULES[self.__name__])), *NAMES.get(self.__name__, ())]


class _OldNames(MetaPathFinder, Loader):
    """Finds modules under their old names."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """The spec of an old name; None for all others."""
        del path, target
        if fullname not in MODULES:
            return None
        return ModuleSpec(fullname, self, is_package=any(old.startswith(f"{fullname}.") for old in MODULES))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """A stand-in for the module at its new place, which is imported now."""
        importlib.import_module(MODULES[spec.name])
        warn(spec.name, MODULES[spec.name])
        return _Old(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to run."""


def install() -> None:
    """Let old names be found. Calling it again does no harm."""
    if not any(isinstance(finder, _OldNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, _OldNames())  # before the empty folders that a checkout may still have
