"""Train each model plugin with one process and with two, and compare: the table of docs/distributed.md.

python -m tools.compare_ddp --work results/ddp   (from the checkout; some ten minutes on two cores)
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from tests.models.test_ddp import again, differences, train

from medanomaly.evidence import predictions as tables
from medanomaly.registry import plugins

SIZES = {"train": 201, "val": 101, "test": 101, "eval_batch_size": 32, "validation": "labelled"}
EPOCHS, BATCH = 10, 32


def figures(run: Path) -> dict[str, Any]:
    """AUROC and threshold of a tested run, and its predictions."""
    evidence = json.loads((run / "evidence.json").read_text())
    return {
        "auroc": evidence["image"]["auroc"]["value"],
        "threshold": evidence["operating_point"]["threshold"],
        "raw": tables.read(run / "predictions.csv")["raw_score"].to_numpy(),
    }


def main() -> None:
    """Print one row of the table for each plugin."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--models", nargs="*", default=sorted(plugins("model")))
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    for name in args.models:
        sizes = SIZES | ({"train_bleeding": 60} if name == "Classifier" else {})
        single, run = (train(name, work, n, BATCH, EPOCHS, **sizes) for n in (1, 2))
        one, two = figures(single), figures(run)
        before, after = again(run, work / f"{name}-again")
        same = figures(work / f"{name}-again")
        state = {key: value for key, value in differences(before, after).items() if "packed" not in key}
        relative = max((value / max(1e-30, float(before[key].abs().max())) for key, value in state.items()), default=0)
        score = np.abs(two["raw"] - same["raw"]).max() / np.abs(same["raw"]).max()
        print(
            f"| `{name}` | {one['auroc']:.4f} | {two['auroc']:.4f} | {one['threshold']:.6g} | {two['threshold']:.6g} | "
            f"{same['threshold']:.6g} | {score:.1e} | {relative:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
