"""Chest films: a supervised classifier with a weighted loss, judged by AUC and recall.

python -m tools.reproduce.chest_xray [--quick] [--seed N] [--rows ROW …] [--fresh]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tools.reproduce.cells import Cells
from tools.reproduce.command import main
from tools.reproduce.figures import Tested, decided, decisions, usual, warnings
from tools.reproduce.paths import DATA, Paths
from tools.reproduce.plots import Point
from tools.reproduce.system import Section, System, told
from tools.reproduce.tables import Table
from tools.reproduce.training import LOOKS, MODEL, Training, rooted

HERE = (f"{DATA}/cxr_pneumonia/split.csv|cxr_pneumonia/train",)
NIH = (f"{DATA}/chestxray14/Data_Entry_2017.csv|chestxray14/Data_Entry_2017_v2020.csv",)
CONFIG = "configs/classifier_chest_xray.yaml"
#: Even odds of the two classes, as a classifier decides that nobody gave a threshold.
EVEN = 1.0
FLIP = {
    f"{LOOKS}train_augmentations.class_path": "torchvision.transforms.v2.RandomVerticalFlip",
    f"{LOOKS}train_augmentations.init_args.p": "0.5",
}
RESNET = {f"{MODEL}network": "resnet18", f"{MODEL}weights": "null", f"{LOOKS}image_size": "64"}
ROWS: dict[str, tuple[str, dict[str, str]]] = {
    "resnet18": ("ResNet-18 from random weights at 64 px, loss weighted by class counts", RESNET),
    "weighted": ("EfficientNet-Lite0, loss weighted by class counts, min-max", {}),
    "unweighted": ("the same, loss unweighted", {f"{MODEL}miss_cost": "1"}),
    "miss_cost_10": ("the same, a miss worth ten false alarms", {f"{MODEL}miss_cost": "10"}),
    "dtype": ("weighted, scaled by bit depth in place of each film's extremes", {f"{LOOKS}intensity": "dtype"}),
    "flip": ("weighted, films turned upside down at random in training", FLIP),
}


def read(run: Tested, also: Mapping[str, Tested]) -> dict[str, Any]:
    """Figures at the chosen threshold and at even odds."""
    del also
    even = decided(run.predictions, run.validation, "manual", EVEN)
    return {"figures": {**usual(run), **decisions(even, "even_")}, "facts": {"warnings": warnings(run)}}


def _trainings() -> list[Training]:
    made = [
        Training(name, CONFIG, options, read, HERE, quick={} if name in ("weighted", "flip") else None, minutes=2.5)
        for name, (_, options) in ROWS.items()
    ]
    nih = {**rooted("chestxray14"), f"{LOOKS}layout": "nih", "--trainer.limit_train_batches": "300"}
    return [*made, Training("nih_effusion", CONFIG, nih, read, NIH, minutes=60)]


def section(cells: Cells, paths: Paths) -> Section:
    """The section of the page."""
    del paths
    rows = [*ROWS, "nih_effusion"]
    what_of = {**{name: what for name, (what, _) in ROWS.items()}, "nih_effusion": "NIH ChestX-ray14, effusion"}
    table = Table(
        "Each option alone",
        ("row", "what", "validation AUC", "test AUC", "sensitivity", "false-positive rate", "sensitivity at even odds",
         "false-positive rate at even odds"),
        [
            [
                f"`{row}`",
                what_of[row],
                *(
                    cells.figure(row, name)
                    for name in ("validation_auroc", "auroc", "sensitivity", "false_positives", "even_sensitivity",
                                 "even_false_positives")
                ),
            ]
            for row in rows
        ],
        "The chosen threshold flags at least 95 in 100 abnormal validation films. What a weight buys in recall it "
        "buys at even odds, where nobody chose a threshold; where one is chosen by a required sensitivity, the weight "
        "has little left to do.",
    )  # fmt: skip
    warned = [f"- `{row}`: {'; '.join(titles)}" for row in rows if (titles := cells.fact(row, "warnings"))]
    blocks: list[str | Table] = [
        told("chest_xray"),
        table,
        *(["What the runs' own reports warn of:\n\n" + "\n".join(warned)] if warned else []),
    ]
    points = [Point(f"AUC, {row}", cells.figure(row, "auroc")) for row in rows]
    points += [
        Point(f"sensitivity at even odds, {row}", cells.figure(row, "even_sensitivity"))
        for row in ("weighted", "unweighted", "miss_cost_10")
    ]
    return Section(blocks, points)


SYSTEM = System("chest_xray", "Chest films: a classifier with a weighted loss", _trainings(), section)

if __name__ == "__main__":
    sys.exit(main([SYSTEM]))
