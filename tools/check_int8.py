"""What INT8 and bf16 cost each model plugin on real images: train, export in f32 and below, score the test images.

    python tools/check_int8.py [--configs ae_wce …] [--runs FOLDER] [--table]

Trains one configuration or two for each model with fewer epochs than published (the figures are of the precision, not
of the model), exports each run with the default ``--accuracy-drop``, and scores all test images with each bundle. The
test decides nothing. Results go to tools/results/int8.json, where rows of other configurations stay; ``--table`` only
prints them. A row says which configuration and data it was measured on; where they have changed since, the table names
it and shows no figure. ``--runs`` keeps trained runs in a folder and takes those that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from medanomaly.data.dataset_digest import changed, digests
from medanomaly.decision.decision_function import DecisionFunction
from medanomaly.edge import Detector
from medanomaly.export import ExportError, export_run
from medanomaly.export.precision_loss import score_all
from medanomaly.metrics.delong import auroc_difference
from medanomaly.runs import TestedRun

HOME = Path(__file__).resolve().parents[1]
RESULTS = HOME / "tools" / "results" / "int8.json"
#: Epochs of each configuration, so that each takes less than two minutes on one core.
EPOCHS = {
    "ae_wce": 30,
    "aae_wce": 10,
    "perceptual_wce": 20,
    "perceptual_pneumoniamnist": 10,
    "vae_wce": 20,
    "classifier_pneumoniamnist": 1,
}
PRECISIONS = ("int8", "bf16")


def config_path(name: str) -> Path:
    """Path of a configuration by its name."""
    return HOME / "configs" / f"{name}.yaml"


def trained(name: str, work: Path) -> Path:
    """Folder of a run, trained unless it is there.

    Raises:
        RuntimeError: if training fails; holds the end of what it printed.
    """
    found = sorted((work / name).rglob("evidence.json"))
    if found:
        return found[0].parent
    command = [
        *(sys.executable, "-m", "medanomaly.cli", "train", "--config", str(config_path(name))),
        *("--default_root_dir", str(work / name), "--trainer.enable_progress_bar", "false"),
        *("--trainer.max_epochs", str(EPOCHS[name])),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=HOME, env={**os.environ, "COLUMNS": "200"})
    if ran.returncode:
        raise RuntimeError(f"{name}: " + (ran.stdout + ran.stderr)[-3000:])
    return next((work / name).rglob("evidence.json")).parent


def measure(name: str, folder: Path, work: Path) -> list[dict[str, Any]]:
    """One row a precision: what the card says, and the same on the test images."""
    run = TestedRun.load(folder)
    test = run.datamodule().subset("test")
    samples = test.samples
    abnormal = samples["abnormal"].to_numpy(dtype=bool)
    export_run(folder, work / "f32")
    before = Detector(work / "f32", cache=False)
    reference = score_all(before, test)["raw_score"].to_numpy(dtype=np.float32)
    rows = []
    keys = digests(config_path(name))
    for precision in PRECISIONS:
        row: dict[str, Any] = {"config": name, **keys, "model": run.evidence["run"]["model"], "precision": precision}
        start = time.perf_counter()
        try:
            card = export_run(folder, work / precision, precision=precision)
        except ExportError as error:
            rows.append({**row, "refused": str(error)})
            continue
        seconds = time.perf_counter() - start
        raw = score_all(Detector(work / precision, cache=False), test)["raw_score"].to_numpy(dtype=np.float32)
        was, now = (
            DecisionFunction.of(before.bundle.card["operating_point"]),
            DecisionFunction.of(card["operating_point"]),
        )
        paired = auroc_difference(was.ranking_score(reference), now.ranking_score(raw), abnormal, samples["group"])
        row["test"] = {
            "images": len(raw),
            "f32": paired.first,
            "reduced": paired.second,
            "drop": paired.value,
            "drop_low": None if np.isnan(paired.low) else paired.low,
            "drop_high": None if np.isnan(paired.high) else paired.high,
            "flips": int((was.abnormal(reference) != now.abnormal(raw)).sum()),
        }
        rows.append({**row, "cost": card["cost"], "parity": card["parity"] | {"replay": []}, "seconds": round(seconds)})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| run | precision | layers in 8 bits | validation AUROC, f32 → reduced | test AUROC, f32 → reduced | "
        "drop on test (95 %) | decisions changed, validation, test | rank correlation | size | speed |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        due = changed(row, digests(config_path(row["config"])))
        if due or "refused" in row:
            said = f"to be measured again: {due}" if due else f"refused: {row['refused'].split(';')[0]}"
            lines.append(f"| {row['config']} | {row['precision']} | {said} |" + " |" * 7)
            continue
        cost, test = row["cost"], row["test"]
        layers = cost["layers"]
        interval = "" if test["drop_low"] is None else f" ({signed(test['drop_low'])} to {signed(test['drop_high'])})"
        cells = (
            row["config"],
            row["precision"],
            "" if layers is None else f"{layers['int8']} of {layers['convolutions']}",
            f"{cost['auroc']['f32']:.4f} → {cost['auroc']['reduced']:.4f}",
            f"{test['f32']:.4f} → {test['reduced']:.4f}",
            signed(test["drop"]) + interval,
            f"{cost['flips']} of {sum(cost['images'].values())}, {test['flips']} of {test['images']}",
            f"{cost['rank_correlation']:.4f}",
            f"{cost['bytes']['reduced'] / cost['bytes']['f32']:.2f}",
            f"{cost['speed']:.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def signed(value: float) -> str:
    """A difference with its sign and four places."""
    return f"{value:+.4f}".replace("-", "−")


def main() -> None:
    """Parse arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=list(EPOCHS), choices=list(EPOCHS))
    parser.add_argument("--runs", type=Path, default=None, help="folder of trained runs (default: a temporary one)")
    parser.add_argument("--table", action="store_true", help="print what was measured before")
    args = parser.parse_args()
    if args.table:
        print(table(json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]))
        return
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.is_file() else []
    rows = [row for row in kept if row["config"] not in args.configs]
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.configs:
            folder = trained(name, args.runs or Path(temporary))
            with tempfile.TemporaryDirectory() as work:
                rows += measure(name, folder, Path(work))
            print(f"{name} done", file=sys.stderr)
    rows.sort(key=lambda row: list(EPOCHS).index(row["config"]))
    RESULTS.write_text(json.dumps({"epochs": EPOCHS, "rows": rows}, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
