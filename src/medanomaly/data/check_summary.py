"""Print the report of ``medanomaly data check``, or write it as JSON. Names from files are text, never markup."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from medanomaly.csv_cells import SHOWN, rest, some
from medanomaly.data.check_report import Report
from medanomaly.options import one_line


def written(report: Report) -> str:
    """A report as JSON; bytes of file names that are no UTF-8 are escaped, as ``\\udcfc``."""
    text = json.dumps({**vars(report), "leaks": report.leaks, "ok": report.ok}, indent=2, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def show(report: Report, console: Console) -> None:
    """Print a report."""
    listing = Table("split", "label", "counts as", "images", "groups", title="Images", title_justify="left")
    for row in report.counts:
        kind = "normal" if row["normal"] else "abnormal"
        cells = (row["split"], row["label"], kind, str(row["images"]), str(row["groups"]))
        listing.add_row(*(Text(one_line(cell)) for cell in cells))
    console.print(listing)
    for note in report.notes:
        _say(console, note)
    for title, counter in (("Sizes", report.sizes), ("Stored as", report.depths)):
        most = ", ".join(f"{name} ({number})" for name, number in counter.most_common(5))
        console.print(f"{title}: {', '.join(filter(None, [most, rest(len(counter), 5)]))}")
    statistics = Table("statistic", "test", "test, as read", "all images", title_justify="left")
    statistics.title = (
        "AUROC of image statistics (0.5: no better than chance; far from 0.5 either way: a model must beat it)"
    )
    for name, values in report.one_number.items():
        shown = [values.get(column) for column in ("test", "test, as read", "all")]
        statistics.add_row(name, *("–" if value is None else f"{value:.2f}" for value in shown))
    console.print(statistics)
    within = [same for same in report.duplicates if same not in report.leaks]
    _show_duplicates(console, within, "inside one split")
    _show_duplicates(console, report.leaks, "ACROSS splits: a leak")
    for path, reason in report.unreadable[:SHOWN]:
        _say(console, f"Unreadable: {reason if path in reason else f'{path}: {reason}'}")
    if more := rest(len(report.unreadable)):
        _say(console, f"{more} unreadable images")
    if report.empty_masks:
        _say(console, f"Masks that mark nothing in the field of view: {len(report.empty_masks)}")
    if report.blank:
        _say(console, f"Blank images, of one value throughout: {_some(report.blank)}")
    if report.shallow:
        _say(
            console,
            "Warning: images of more than 8 bits use less than a tenth of their depth, so that the model sees hardly "
            f"more than one grey of them under intensity {report.intensity}: {_some(report.shallow)}. Choose minmax, "
            "percentile or window:centre,width.",
        )
    _say(console, "No leak found; no group crosses splits." if report.ok else "Not fit for use as it is: see above.")


def _say(console: Console, text: str) -> None:
    console.print(Text(one_line(text)), soft_wrap=True)


def _some(paths: Sequence[str]) -> str:
    return f"{len(paths)} ({some(paths, 3)})"


def _show_duplicates(console: Console, duplicates: Sequence[Sequence[tuple[str, str]]], where: str) -> None:
    _say(console, f"Sets of images with the same pixels {where}: {len(duplicates)}")
    for same in duplicates[:SHOWN]:
        console.print(Text("  " + one_line(" = ".join(f"{path} ({split})" for path, split in same))), soft_wrap=True)
    if more := rest(len(duplicates)):
        console.print(f"  {more}")
