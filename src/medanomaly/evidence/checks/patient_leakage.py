"""Patient leakage check: are patients (or other groups) of the test also in training or validation?"""

from __future__ import annotations

from typing import Any

import pandas as pd

from medanomaly.evidence.checks.context import CheckError, Context

_SHOWN = 5


def shared(table: pd.DataFrame) -> dict[str, Any]:
    """Groups of the test that are in another split too.

    Args:
        table: Columns ``split`` (``train``, ``val``, ``test``) and ``group``.

    Returns:
        Record as in :mod:`medanomaly.evidence.checks`.

    Raises:
        CheckError: if a column is missing or no image is in test.
    """
    lacks = [name for name in ("split", "group") if name not in table]
    if lacks:
        raise CheckError(f"the sample table has no column {', '.join(lacks)}")
    test = table[table["split"] == "test"]
    if not len(test):
        raise CheckError("the sample table lists no test image")
    found, examples = {}, set()
    for split in ("train", "val"):
        both = test["group"].isin(table.loc[table["split"] == split, "group"])
        found[split] = {"groups": int(test.loc[both, "group"].nunique()), "images": int(both.sum())}
        examples |= set(test.loc[both, "group"].astype(str))
    return {"shared": found, "test_groups": int(test["group"].nunique()), "examples": sorted(examples)[:_SHOWN]}


def check(context: Context) -> dict[str, Any]:
    """The record ``groups``; synthetic anomalies share their image's group and split."""
    return shared(context.table)
