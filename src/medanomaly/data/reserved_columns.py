"""Columns that the toolkit adds to a sample table; a user's columns of the same names are renamed."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

#: Made by the toolkit: truth, anomalib's number of it, and what a synthetic anomaly was made from.
OWN = ("abnormal", "label_index", "artificial", "artificial_of", "artificial_repeat")


def renamed(table: pd.DataFrame, own: Collection[str] = OWN) -> pd.DataFrame:
    """Columns of the user's that are called as one of ours get ``(given)`` behind their name; a new table.

    Both are kept so: neither is the user's column lost, nor is what it says taken for what ours says.
    """
    taken = {str(column) for column in table.columns}
    names: dict[str, str] = {}
    for column in own:
        if column in taken:
            new, again = f"{column} (given)", 1
            while new in taken:
                again += 1
                new = f"{column} (given {again})"
            names[column] = new
            taken.add(new)
    return table.rename(columns=names)
