"""Subgroup check: is the model worse for a view, a sex, a scanner, a site?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from medanomaly.evidence.checks.context import CheckError, Context, figure
from medanomaly.metrics.delong import auroc_interval
from medanomaly.metrics.interval import NAN, Z95, Interval, wilson

#: Columns of a sample table that are no subgroup.
_NOT = frozenset({"image_path", "mask_path", "label", "abnormal", "label_index", "split", "group", "path", "id"})
_NOT |= {"artificial_of", "artificial_repeat", "patient", "study", "series", "file", "filename", "name"}
_LEVELS = (2, 12)
METRICS = ("auroc", "sensitivity", "specificity")


@dataclass(frozen=True)
class Cases:
    """Test images.

    Args:
        scores: (n,) float, any range; higher is more abnormal.
        decision: (n,) bool.
        abnormal: (n,) bool, the truth.
        groups: (n,) any values.
    """

    scores: np.ndarray
    decision: np.ndarray
    abnormal: np.ndarray
    groups: np.ndarray

    def only(self, keep: np.ndarray) -> Cases:
        """The images where ``keep`` (n,) of bool is true."""
        return Cases(self.scores[keep], self.decision[keep], self.abnormal[keep], self.groups[keep])


def proportion(hits: np.ndarray, groups: np.ndarray) -> Interval:
    """Share of hits with a 95 % Wilson interval, widened where images of a group are alike.

    Counts are divided by the design effect: the variance by groups over that of independent images, at least 1 (Korn
    and Graubard, Survey Methodology 24, 1998, 193–201).

    Args:
        hits: (n,) bool.
        groups: (n,) any values.

    Returns:
        In [0, 1]; NaN without images, the interval in any case defined with one.
    """
    if not len(hits):
        return Interval(NAN, NAN, NAN)
    value = float(np.mean(hits))
    _, of = np.unique(groups, return_inverse=True)
    number, effect = int(of.max()) + 1, 1.0
    if 0 < value < 1 and 1 < number < len(hits):
        by_group = np.bincount(of, hits - value) / len(hits)
        effect = max(1.0, float(number / (number - 1) * (by_group**2).sum() / (value * (1 - value) / len(hits))))
    elif number < len(hits):  # all alike or all one group: how alike images are cannot be seen
        effect = len(hits) / number
    return Interval(value, *wilson(int(np.sum(hits)), len(hits), effect))


def figures(cases: Cases) -> dict[str, Any]:
    """AUROC, sensitivity and specificity of some images, each with ``value``, ``low``, ``high``; NaN if undefined."""
    bad, good = cases.abnormal, ~cases.abnormal
    return {
        "auroc": auroc_interval(cases.scores, cases.abnormal, cases.groups),
        "sensitivity": proportion(cases.decision[bad], cases.groups[bad]),
        "specificity": proportion(~cases.decision[good], cases.groups[good]),
    }


def gap(first: Any, second: Any, comparisons: int = 1) -> Interval:
    """First minus second, with an interval that holds for all ``comparisons`` at once (Bonferroni).

    The two intervals are joined by the distances of their ends (MOVER: Zou and Donner, Statistics in Medicine 27, 2008,
    1693–1702), which are stretched by the ratio of normal quantiles. The two are taken as independent; images of one
    patient in both make the interval too wide, not too narrow.

    Args:
        first: With ``value``, ``low`` and ``high`` of a 95 % interval.
        second: Likewise.
        comparisons: At least 1.

    Returns:
        In [-1, 1]; NaN as far as one of the two is undefined.
    """
    value = first.value - second.value
    stretch = norm.ppf(1 - 0.025 / comparisons) / Z95
    below = stretch * np.hypot(first.value - first.low, second.high - second.value)
    above = stretch * np.hypot(first.high - first.value, second.value - second.low)
    if not np.isfinite([value, below, above]).all():
        return Interval(value, NAN, NAN)
    return Interval(value, max(-1.0, float(value - below)), min(1.0, float(value + above)))


def compare(cases: Cases, level: np.ndarray) -> dict[str, Any]:
    """Each level of a column against the rest.

    Args:
        cases: Test images.
        level: Level of each image (n,) as text; "" if unknown, which is in no level and in no rest.

    Returns:
        Record of a column as in :mod:`medanomaly.evidence.checks`, without its name.
    """
    names = sorted(set(level[level != ""]))
    # The gaps of two levels are one comparison.
    comparisons = 1 if len(names) == 2 else max(1, len(names))
    records = []
    for name in names:
        here, rest = cases.only(level == name), cases.only((level != name) & (level != ""))
        mine, others = figures(here), figures(rest)
        gaps = {}
        for metric in METRICS:
            difference = gap(mine[metric], others[metric], comparisons)
            marked = bool(difference.low > 0 or difference.high < 0)
            gaps[metric] = {**figure(difference, f"MOVER, Bonferroni for {comparisons}"), "marked": marked}
        records.append(
            {
                "level": str(name),
                "images": len(here.scores),
                "normal": int((~here.abnormal).sum()),
                "abnormal": int(here.abnormal.sum()),
                **{metric: figure(mine[metric], "Wilson by group") for metric in METRICS},
                "gap": gaps,
            }
        )
    return {"comparisons": comparisons, "unknown": int((level == "").sum()), "levels": records}


def columns(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Columns of test rows that make subgroups, with levels as text (n,); "" where unknown.

    Those with 2 to 12 levels, but paths, groups, patients and other identifiers.
    """
    found = {}
    for name in map(str, table.columns):
        # A column of the user's that is called as one of ours has "(given)" behind its name.
        if name.lower().partition(" (given")[0] in _NOT or name.lower().endswith(("_path", "_id", "path")):
            continue
        level = table[name].map(lambda value: "" if pd.isna(value) else str(value).strip()).to_numpy(dtype=object)
        if _LEVELS[0] <= len(set(level) - {""}) <= _LEVELS[1]:
            found[name] = level
    return found


def check(context: Context) -> dict[str, Any]:
    """The record ``subgroups``; its ``columns`` are empty where the table has none that qualifies."""
    known = context.table.drop_duplicates("image_path").set_index("image_path")
    rows = known.reindex(context.predictions["path"])
    if rows["label"].isna().all():
        raise CheckError("the tested images are not in the sample table")
    if "decision" not in context.predictions:
        raise CheckError("the model decides nothing")
    decision = context.predictions["decision"].to_numpy(dtype=bool)
    cases = Cases(context.scores, decision, context.abnormal, context.groups)
    found = [{"column": name, **compare(cases, level)} for name, level in columns(rows).items()]
    return {"columns": found, "threshold": context.threshold}
