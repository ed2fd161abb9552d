"""Make anomalib find our plugins' classes by name: extends its lists and functions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import wraps
from types import ModuleType
from typing import Any

#: Marks our replacement, so that it is put in place once.
_REPLACED = "_replaced_by_medanomaly"


def allow_models(modules: Iterable[str]) -> None:
    """Let anomalib make models from class paths in these modules; it knows four, and refuses others."""
    import anomalib.models

    anomalib.models.ALLOWED_MODULES.update(modules)


def replace_datamodule_lookup(find: Callable[[Any], Any | None]) -> None:
    """Let ``find`` look for a data module before anomalib's ``get_datamodule`` does.

    The function is replaced in every module of anomalib that has imported it. A second call changes nothing.

    Args:
        find: Configuration to a data module; None leaves it to anomalib.
    """
    import anomalib.data

    original = anomalib.data.get_datamodule
    if hasattr(original, _REPLACED):
        return

    @wraps(original)
    def get_datamodule(config: Any) -> Any:
        found = find(config)
        return original(config) if found is None else found

    setattr(get_datamodule, _REPLACED, True)
    for module in [m for m in sys.modules.values() if isinstance(m, ModuleType)]:
        if getattr(module, "__name__", "").startswith("anomalib") and vars(module).get("get_datamodule") is original:
            module.get_datamodule = get_datamodule  # type: ignore[attr-defined]
