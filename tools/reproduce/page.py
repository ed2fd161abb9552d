"""``RESULTS.md``: all sections, and what made them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from tools.reproduce.cells import Cells
from tools.reproduce.paths import HOME, Paths, hashes
from tools.reproduce.plots import claims
from tools.reproduce.system import Section, System
from tools.reproduce.tables import Figure, Missing, Table, Value

_HEAD = """# The seed systems, reproduced

Five systems were described to us before this toolkit was begun. Here each one's claims stand beside what our plugins
reach on its task, on the images that are here, with 95 % intervals. What was not measured says so, and why.

This page is generated: `make reproduce`, with `MEDANOMALY_DATA` and `MEDANOMALY_WEIGHTS` set, trains what is missing
and writes it. Every row names its training; `python -m tools.reproduce.SYSTEM --rows ROW --fresh` runs one alone.
Thresholds, and the choice of the best plugin of a set, were made on validation images; test images were read for
the figures alone. Intervals of AUROC and F1 are bootstrapped by group (patient, woman, run of frames) with Student's t
on the logit scale, those of shares are Wilson's, those of balanced accuracy Newcombe's.
"""
_QUICK = "> **Made with `--quick`**: a few training steps, to see that everything runs. No figure here is a result.\n"


def write(systems: Sequence[System], paths: Paths, seed: int, failed: Mapping[tuple[str, str], str]) -> None:
    """Write page, tables and plots from the cells that are there.

    Args:
        systems: In the page's order.
        paths: Where cells are and results go.
        seed: The seed that the tables show; cells of other seeds are set beside it.
        failed: System and row of trainings that failed, with what they said.
    """
    parts = [_HEAD, *([_QUICK] if paths.quick else []), _made(systems, paths, seed)]
    for number, system in enumerate(systems, start=1):
        found = Cells.load(paths, system.name, system.trainings, seed)
        lost = {row: "failed" for name, row in failed if name == system.name}
        shown = Cells(found.found, {**found.missing, **lost}, seed, paths.quick)
        section = system.section(shown, paths)
        claims(section.points, system.title, paths.plot(system.name))
        again = seeds(system, paths, shown)
        tables = [*section.tables, *([again] if again else [])]
        path = paths.table(system.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"system": system.name, "title": system.title, "tables": [table.record() for table in tables]}
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        parts.append(_section(number, system, section, again, shown, paths))
    text = "\n".join(parts)
    paths.page.parent.mkdir(parents=True, exist_ok=True)
    paths.page.write_text(text, encoding="utf-8")


def seeds(system: System, paths: Paths, cells: Cells) -> Table | None:
    """The compared figures of all seeds, and whether the others lie in the interval of the shown one; None without."""
    rows: list[list[Value]] = []
    others = sorted(
        {int(path.stem.rpartition("-")[2]) for path in (paths.out / "cells" / system.name).glob("*.json")}
        - {cells.seed}
    )
    for seed in others:
        other = Cells.load(paths, system.name, system.trainings, seed)
        for row in (training.name for training in system.trainings if training.name in cells):
            for name in system.compared:
                first, second = cells.figure(row, name), other.figure(row, name)
                if row not in other or name not in cells.found[row]["figures"]:
                    continue
                assert isinstance(first, Figure)
                assert isinstance(second, Figure)
                rows.append([f"`{row}`", name.replace("_", " "), first, second, seed, _verdict(first, second)])
    if not rows:
        return None
    held = sum(row[5] == "yes" for row in rows)
    note = (
        f"{held} of {len(rows)} lie in the interval, {sum(row[5] == 'no' for row in rows)} do not overlap with it. "
        "Intervals hold for other test images of the same kind, not for another training: where seeds differ by more, "
        "it is the training that varies."
    )
    heads = ("row", "figure", f"seed {cells.seed}", "other seed", "which", "inside the interval")
    return Table("The same with another seed", heads, rows, note)


def _verdict(first: Figure, second: Figure) -> str:
    held = first.holds(second.value)
    if held is None or held:
        return "no interval" if held is None else "yes"
    apart = (
        None not in (second.low, second.high) and (second.low > first.high or second.high < first.low)  # type: ignore[operator]
    )
    return "no" if apart else "no, but the intervals overlap"


def _section(number: int, system: System, section: Section, again: Table | None, cells: Cells, paths: Paths) -> str:
    blocks = [block.markdown() if isinstance(block, Table) else block + "\n" for block in section.blocks]
    plots = {system.name: "Claims and measured figures", **section.plots}
    pictures = [f"![{caption}]({_link(paths.plot(name), paths)})\n" for name, caption in plots.items()]
    commands = [
        f"- `{row}` ({cell['seconds']} s, {cell['date']}): `{cell['command']}`" for row, cell in cells.found.items()
    ]
    commands += [f"- `{row}`: {why}" for row, why in cells.missing.items()]
    made = "\n".join(
        [
            "<details><summary>How each row was made: "
            f"<code>python -m tools.reproduce.{system.name}</code></summary>\n",
            "`DIR` is a folder into which the script writes lists of images; with the script the row makes its own.\n",
            *commands,
            "\n</details>\n",
        ]
    )
    return "\n".join(
        [f"## {number}. {system.title}\n", *blocks, *pictures, *([again.markdown()] if again else []), made]
    )


def _link(path: Path, paths: Paths) -> str:
    return path.relative_to(paths.page.parent).as_posix()


def _made(systems: Sequence[System], paths: Paths, seed: int) -> str:
    loaded = [Cells.load(paths, system.name, system.trainings, seed).found for system in systems]
    cells = [cell for found in loaded for cell in found.values()]
    versions: dict[str, str] = cells[0]["versions"] if cells else {}
    minutes = sum(cell["seconds"] for cell in cells) / 60
    rows: list[list[Value]] = [
        ["date", date.today().isoformat()],
        ["commit", _commit()],
        ["seed", str(seed)],
        ["machine", f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"],
        ["versions", ", ".join(f"{name} {version}" for name, version in versions.items()) or Missing("no cell yet")],
        ["trainings", f"{len(cells)} cells, {minutes:.0f} minutes of one thread in all; two run at a time"],
    ]
    files: list[list[Value]] = [[f"`{name}`", f"`{digest[:16]}`"] for name, digest in hashes().items()]
    made = Table("Made", ("what", ""), rows).markdown()
    listed = Table("Data: the files that say which image is which", ("file", "SHA-256 begins"), files).markdown()
    return f"{made}\n<details><summary>Hashes of the data</summary>\n\n{listed}\n</details>\n"


def _commit() -> str:
    """The commit, and whether source files differ from it."""
    try:
        found = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, cwd=HOME)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "src", "plugins", "configs", "tools/reproduce/*.py"],
            capture_output=True,
            text=True,
            cwd=HOME,
        )
    except OSError:
        return "not known: git is not installed"
    if found.returncode:
        return "not known: not a git checkout"
    return found.stdout.strip() + (" with changes that are not committed" if changed.stdout.strip() else "")


def _processor() -> str:
    """The processor's name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
