"""Train the published configurations cell by cell, and print the table that stands on the plugins' pages.

    python tools/results.py [--configs ae_wce aae_wce …] [--seeds 0 1 2] [--limit-minutes N] [--keep DIR] [--table]
        [--write]

A cell is one configuration of configs/ with one seed: trained, tested, exported, and its bundle compared with torch on
all test images. Each leaves tools/results/<config>-<seed>.json; cells that are there are not run again, so that a run
that was stopped goes on. A cell whose configuration or whose data have changed since is run anew, and until then shown
as not measured: the digest of split and files stands in each. Where the data are not here, they cannot be compared.
Nothing is chosen here: every option stands in the configuration, with the validation figure that speaks for it, and the
trivial baseline is the image statistic that the report's own check chose on validation.

``--table`` only prints; ``--write`` puts each plugin's rows on its page and the means into README.md, between the marks
``<!-- results -->``. ``--keep DIR`` leaves each cell's run in DIR/<config>-<seed>, and runs cells whose run is not
there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console

from medanomaly.data.dataset_digest import changed, digests
from medanomaly.evidence import predictions as tables
from medanomaly.evidence.checks.trivial_baseline import FILE_SIZE, of_image
from medanomaly.export import export_run
from medanomaly.export.parity import parity
from medanomaly.metrics.bootstrap import GroupBootstrap
from medanomaly.metrics.formatting import with_span
from medanomaly.metrics.ranking import Ranking
from medanomaly.models.module import pixels
from medanomaly.runs import TestedRun

HOME = Path(__file__).resolve().parents[1]
CELLS = HOME / "tools" / "results"
SEEDS = (0, 1, 2)
DRAWS = 2000
#: One thread: sums of several are rounded otherwise, and a seed would not repeat on a machine of other cores.
SETTING = {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
#: Order of rows and columns of the table.
MODELS = ("Autoencoder", "AdversarialAutoencoder", "PerceptualAutoencoder", "VariationalAutoencoder", "Classifier")
DATA = ("WirelessCapsule", "MalariaCells", "ChestXray", "MedMnist", "Mammography")
#: Heads of the summary's columns.
TITLES = {
    "WirelessCapsule": "capsule frames (WCEBleedGen, crop)",
    "MalariaCells": "malaria cells",
    "ChestXray": "chest films (pneumonia)",
    "MedMnist": "PneumoniaMNIST",
    "Mammography": "mini-MIAS (negative control)",
}
#: What a reader of a set's figures must know.
NOTES = {
    "MalariaCells": "Malaria cells: since 28 November 2026 by a corrected split. One patient (C47P8), imaged with two "
    "microscopes, had been in train and in test; figures from before are not comparable."
}
#: Stands where a cell no longer holds.
DUE = "to be measured again"
_MARK = re.compile(r"<!-- results -->.*?<!-- /results -->", re.DOTALL)

console = Console(stderr=True)


def config_path(name: str) -> Path:
    """Path of a configuration by its name."""
    return HOME / "configs" / f"{name}.yaml"


def plugin_names(name: str) -> tuple[str, str]:
    """Names of a configuration's model and data plugins."""
    config = yaml.safe_load(config_path(name).read_text(encoding="utf-8"))
    model, data = (config[key]["class_path"].rsplit(".", 1)[1] for key in ("model", "data"))
    return model, data


def published() -> list[str]:
    """Configurations of the table's models and sets, in its order; drawn images and further MNIST sets are left out."""
    found = [(plugin_names(path.stem), path.stem) for path in sorted((HOME / "configs").glob("*.yaml"))]
    known = [(MODELS.index(m), DATA.index(d), name) for (m, d), name in found if m in MODELS and d in DATA]
    return [name for _, _, name in sorted(known) if "mnist" not in name or name.endswith("_pneumoniamnist")]


def cell_path(name: str, seed: int) -> Path:
    """Where a cell is kept."""
    return CELLS / f"{name}-{seed}.json"


def read(name: str, seed: int) -> dict[str, Any] | None:
    """A cell as it lies there, whatever it was measured on."""
    path = cell_path(name, seed)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def split(name: str, seeds: Sequence[int]) -> tuple[dict[int, dict[str, Any]], dict[int, str]]:
    """A configuration's finished cells by seed, and why others that are there no longer hold."""
    now = digests(config_path(name))
    there = {seed: cell for seed in seeds if (cell := read(name, seed))}
    due = {seed: why for seed, cell in there.items() if (why := changed(cell, now))}
    return {seed: cell for seed, cell in there.items() if seed not in due}, due


def done(name: str, seed: int) -> dict[str, Any] | None:
    """A finished cell of the present configuration and data, or None."""
    return split(name, [seed])[0].get(seed)


def run_cell(name: str, seed: int, keep: Path | None = None) -> dict[str, Any]:
    """Train, test, export and compare one cell; its run is left in ``keep`` where that is given.

    Raises:
        RuntimeError: if training fails; holds the end of what it printed.
    """
    # Now: a configuration may be edited meanwhile.
    keys = digests(config_path(name))
    with tempfile.TemporaryDirectory() as work:
        start = time.perf_counter()
        command = [
            *(sys.executable, "-m", "medanomaly.cli", "train", "--config", str(config_path(name))),
            *("--model.init_args.seed", str(seed), "--default_root_dir", work),
            *("--trainer.enable_progress_bar", "false"),
        ]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=HOME, env={**os.environ, **SETTING})
        if ran.returncode:
            raise RuntimeError(f"{name}, seed {seed}: " + (ran.stdout + ran.stderr)[-3000:])
        seconds = time.perf_counter() - start
        folder = next(Path(work).rglob("evidence.json")).parent
        described = describe(folder, Path(work) / "bundle")
        if keep is not None:
            shutil.rmtree(keep, ignore_errors=True)
            shutil.copytree(folder, keep)
        return {"config": name, **keys, "seed": seed, "seconds": round(seconds), **described}


def describe(folder: Path, bundle: Path) -> dict[str, Any]:
    """The figures of a run's folder, with the paired difference to the trivial baseline and its bundle's parity."""
    from medanomaly.edge import Detector

    evidence = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))
    predictions = tables.read(folder / "predictions.csv")
    card = export_run(folder, bundle)
    run = TestedRun.load(folder)
    module = run.datamodule()
    test = module.subset("test")
    one = evidence["checks"]["one_number"]
    sign = -1.0 if one["direction"] == "low" else 1.0
    numbers = sign * np.array([image_statistic(one["name"], module, path) for path in predictions["path"]])
    abnormal = predictions["abnormal"].to_numpy()
    model, number = Ranking(predictions["raw_score"].to_numpy(), abnormal), Ranking(numbers, abnormal)
    bootstrap = GroupBootstrap(predictions["group"], DRAWS)
    low, high = bootstrap.interval(lambda w: model.auroc(w) - number.auroc(w), "student")
    images = ((test.paths[i], pixels(test.__getitems__([i]))[0].permute(1, 2, 0).numpy()) for i in range(len(test)))
    proof = parity(run.tested, Detector(bundle), images)
    return {
        "model": evidence["run"]["model"],
        "data": evidence["run"]["data"],
        "test": {key: evidence["image"][key] for key in ("normal", "abnormal", "groups")},
        **{key: evidence["image"][key] for key in ("auroc", "sensitivity", "specificity", "parts")},
        "one_number": {
            **{key: one[key] for key in ("name", "direction", "chosen_on")},
            "auroc": number.auroc(),
            "interval": one["auroc"],
            "settled": one["all"][0]["settled"],
            "all": [{key: row[key] for key in ("name", "validation", "test")} for row in one["all"]],
        },
        "difference": {"value": model.auroc() - number.auroc(), "low": low, "high": high},
        "parity": {key: proof[key] for key in ("images", "score_relative", "map_relative", "flips")},
        "parity_at_export": card["parity"]["score_relative"],
        "epochs": evidence["run"]["epochs"],
        "split_sha256": evidence["data"]["split_sha256"],
        "versions": evidence["run"]["versions"],
        "date": date.today().isoformat(),
    }


def image_statistic(name: str, module: Any, path: str) -> float:
    """The statistic of one image as the report's check takes it: in the field of view, at the file's own size."""
    if name == FILE_SIZE:
        return float(Path(path).stat().st_size)
    return of_image(module.decode(path), module.reading, path)[name]


def figure(cell: dict[str, Any]) -> str:
    """``0.912 (0.893 to 0.930)``."""
    return with_span(cell["auroc"], between=" to ")


def called(cell: dict[str, Any]) -> str:
    """``0.891 redness``, with the direction where low is abnormal, and how far the choice can be relied on."""
    one = cell["one_number"]
    low = "low " if one["direction"] == "low" else ""
    doubt = " (chosen on the test)" if one["chosen_on"] == "test" else ""
    # The interval of its validation AUROC holds 0.5: number and direction are a matter of luck.
    doubt = doubt or ("" if one["settled"] else " (not settled on validation)")
    return f"{one['auroc']:.3f} {low}{one['name']}{doubt}"


def rows(names: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """The table's rows in Markdown: one a configuration, one figure a seed."""
    lines = []
    for name in names:
        finished, stale = split(name, seeds)
        cells, due = list(finished.values()), [f"seed {seed}: {DUE}, {why}" for seed, why in stale.items()]
        if not cells:
            lines += [f"| `{name}.yaml` | " + " | " * 2 + "; ".join(due) + " |" * 5] if due else []
            continue
        first = cells[0]
        differences = "; ".join(
            f"{c['difference']['value']:+.3f} ({c['difference']['low']:+.3f} to {c['difference']['high']:+.3f})"
            for c in cells
        )
        mean = np.mean([c["auroc"]["value"] for c in cells])
        parity_worst = max(c["parity"]["score_relative"] for c in cells)
        flips = sum(c["parity"]["flips"] for c in cells)
        lines.append(
            f"| `{name}.yaml` | {first['test']['normal']} + {first['test']['abnormal']} | {mean:.3f} | "
            f"{'; '.join([figure(c) for c in cells] + due)} | {called(first)} | {differences} | "
            f"{max(c['seconds'] for c in cells)} s | {parity_worst:.1e}, {flips} |"
        )
    return lines


def table(names: Sequence[str], seeds: Sequence[int]) -> str:
    """The table in Markdown, with the sentence that says how to read it."""
    head = (
        "Test AUROC of seeds 0, 1, 2 (as many as were run) with 95 % intervals (bootstrap by group, Student's t on the "
        "logit scale), beside a trivial baseline, and the paired difference to it. The baseline is the image statistic "
        "whose AUROC lies furthest from 0.5 on validation images, its direction from there too, as the report's "
        "own check chooses it. Seconds: training and test on one thread of two CPU cores that other runs shared. "
        "Parity: largest relative difference of raw scores between torch and the exported bundle over all test images, "
        "and decisions that flip. Written by `python tools/results.py --write`.\n\n"
        "| configuration | normal + abnormal | mean | AUROC by seed | trivial baseline | difference | at most | parity "
        "|\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    notes = [note for data, note in NOTES.items() if data in {plugin_names(name)[1] for name in names}]
    return head + "\n".join([*rows(names, seeds), *(f"\n{note}" for note in notes)]) + "\n"


def summary(seeds: Sequence[int]) -> str:
    """Mean test AUROC of every model on every set, in Markdown: rows are models, columns are sets."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    due: set[tuple[str, str]] = set()
    for name in published():
        finished, stale = split(name, seeds)
        for cell in finished.values():
            found.setdefault((cell["model"], cell["data"]), []).append(cell)
        due |= {plugin_names(name)} if stale else set()
    sets = [name for name in DATA if any(name == data for _, data in (*found, *due))]
    numbers = {data: called(cells[0]) for (_, data), cells in found.items()}
    lines = [
        "| | " + " | ".join(TITLES[name] for name in sets) + " |",
        "|---" * (len(sets) + 1) + "|",
        "| trivial baseline | " + " | ".join(numbers.get(name, DUE) for name in sets) + " |",
    ]
    for model in MODELS:
        row = [_span(found.get((model, name), [])) or (DUE if (model, name) in due else "") for name in sets]
        if any(row):
            lines.append(f"| `{model}` | " + " | ".join(entry or "–" for entry in row) + " |")
    return "\n".join(lines) + "\n"


def _span(cells: Sequence[dict[str, Any]]) -> str:
    values = [cell["auroc"]["value"] for cell in cells]
    if not values:
        return ""
    return f"{np.mean(values):.3f}" + (f" ({min(values):.3f}–{max(values):.3f})" if len(values) > 1 else "")


def _put(page: Path, content: str) -> None:
    text = page.read_text(encoding="utf-8")
    if _MARK.search(text):
        head, tail = _MARK.split(text, maxsplit=1)
        page.write_text(f"{head}<!-- results -->\n{content}<!-- /results -->{tail}", encoding="utf-8")


def write(seeds: Sequence[int]) -> None:
    """Put each model plugin's rows on its page, and the means on the first page."""
    _put(HOME / "README.md", summary(seeds))
    for page in sorted((HOME / "plugins").glob("*/README.md")):
        own = [n for n in published() if f"medanomaly_{_snake(plugin_names(n)[0])}" == page.parent.name]
        _put(page, table(own, seeds))


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def main() -> int:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=None, help="names in configs/ (default: all of the table)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--limit-minutes", type=float, default=None, help="start no cell after this number of minutes")
    parser.add_argument("--keep", type=Path, default=None, metavar="DIR", help="leave runs in DIR/<config>-<seed>")
    parser.add_argument("--table", action="store_true", help="only print the table of the cells that are there")
    parser.add_argument("--write", action="store_true", help="also write the tables on the plugins' pages")
    args = parser.parse_args()
    names = args.configs or published()
    CELLS.mkdir(exist_ok=True)
    start, failed = time.monotonic(), 0
    wanted = [(name, seed) for seed in args.seeds for name in names if not args.table]
    kept = {(name, seed): args.keep and args.keep / f"{name}-{seed}" for name, seed in wanted}
    finished = {(name, seed) for name in names for seed in split(name, args.seeds)[0]} if wanted else set()
    todo = [cell for cell in wanted if cell not in finished or not (kept[cell] is None or kept[cell].is_dir())]
    for number, (name, seed) in enumerate(todo, start=1):
        if args.limit_minutes and time.monotonic() - start > 60 * args.limit_minutes:
            console.print(f"Stopped after {args.limit_minutes:g} minutes; {len(todo) - number + 1} cells are left.")
            break
        with console.status(f"[{number}/{len(todo)}] {name}, seed {seed}"):
            try:
                cell = run_cell(name, seed, kept[name, seed])
            except (RuntimeError, ValueError) as error:
                failed += 1
                console.print(f"{name}, seed {seed} failed: {error}")
                continue
        cell_path(name, seed).write_text(json.dumps(cell, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        console.print(f"{name}, seed {seed}: AUROC {figure(cell)} in {cell['seconds']} s")
    print(table(names, args.seeds))
    if args.write:
        write(args.seeds)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
