"""Mammography: an autoencoder with a threshold of mean + k standard deviations.

python -m tools.reproduce.mammography [--quick] [--seed N] [--rows ROW …] [--fresh]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tools.reproduce.candidates import best, one_class_configs
from tools.reproduce.cells import Cells
from tools.reproduce.command import main
from tools.reproduce.figures import Tested, decided, decisions, pixel_figures, usual, warnings
from tools.reproduce.paths import DATA, Paths
from tools.reproduce.plots import Point
from tools.reproduce.system import Section, System, told
from tools.reproduce.tables import Table
from tools.reproduce.training import LOOKS, Training, rooted

HERE = (f"{DATA}/mias/split.csv|mias/labels.csv|mias/Info.txt",)
RSNA = (f"{DATA}/rsna_mammography/train.csv",)
SEED = "tools/reproduce/configs/mammography_seed.yaml"
#: Multiples of the standard deviation.
SIGMAS = (2, 3)
#: No configuration but the autoencoder's was made for mammograms: the others look at them as they look at chest films.
ON_MIAS = {"--data": "medanomaly.data.Mammography", f"{LOOKS}train_batch_size": "16", "--trainer.max_epochs": "60"}
OWN = one_class_configs("mias")
BORROWED = [name for name in one_class_configs("chest_xray") if name.replace("chest_xray", "mias") not in OWN]
CANDIDATES = [*OWN, *(f"{name}_on_mias" for name in BORROWED)]


def read(run: Tested, also: Mapping[str, Tested]) -> dict[str, Any]:
    """Figures by mean + k sd, on the circles, and what the run's own report warns of."""
    del also
    figures = {**usual(run), **pixel_figures(run, "circle_")}
    for k in SIGMAS:
        figures |= decisions(decided(run.predictions, run.validation, "sigma", k), f"sigma{k}_")
    return {"figures": figures, "facts": {"warnings": warnings(run)}}


def _trainings() -> list[Training]:
    made = [Training("plain", SEED, {}, read, HERE, minutes=1)]
    made += [
        Training(name, f"configs/{name}.yaml", {}, read, HERE, quick={} if name == "ae_mias" else None, minutes=1)
        for name in OWN
    ]
    for name in BORROWED:
        options = dict(ON_MIAS)
        made.append(
            Training(
                f"{name}_on_mias",
                f"configs/{name}.yaml",
                options,
                read,
                HERE,
                quick={} if name.startswith("vae") else None,
                minutes=4 if name.startswith("perceptual") else 1.5,
            )
        )
    rsna = {**rooted("rsna_mammography"), f"{LOOKS}layout": "rsna", "--trainer.max_epochs": "5"}
    made.append(Training("rsna", SEED, rsna, read, RSNA, minutes=60))
    return made


def section(cells: Cells, paths: Paths) -> Section:
    """The section of the page."""
    del paths
    winner = best(cells, CANDIDATES)
    rows = ["plain", *CANDIDATES, "rsna"]
    figures = Table(
        "Ranking and the circles",
        ("row", "validation AUROC", "test AUROC", "circles: pixel AUROC", "circles found at 1 false mark a film"),
        [
            [
                f"`{row}`" + (", **best**" if row == winner else ""),
                *(cells.figure(row, name) for name in ("validation_auroc", "auroc", "circle_auroc", "circle_froc_1")),
            ]
            for row in rows
        ],
        "**Best**: the highest validation AUROC, on 42 + 36 films: chance alone can put a row first.",
    )
    sigma = Table(
        "mean + k standard deviations of healthy validation films",
        ("row", "k", "sensitivity", "false-positive rate", "balanced accuracy"),
        [
            [
                f"`{row}`",
                k,
                *(
                    cells.figure(row, f"sigma{k}_{name}")
                    for name in ("sensitivity", "false_positives", "balanced_accuracy")
                ),
            ]
            for row in ("plain", *([winner] if winner else []), "rsna")
            for k in SIGMAS
        ],
    )
    warned = [f"- `{row}`: {'; '.join(titles)}" for row in rows if (titles := cells.fact(row, "warnings"))]
    blocks: list[str | Table] = [
        told("mammography"),
        _verdict(cells, winner),
        figures,
        sigma,
        *(["What the runs' own honesty checks warn of:\n\n" + "\n".join(warned)] if warned else []),
    ]
    return Section(blocks, [Point(f"AUROC, {row}", cells.figure(row, "auroc")) for row in rows])


def _verdict(cells: Cells, winner: str | None) -> str:
    said = []
    for row in ("plain", *([winner] if winner else [])):
        found = cells.found.get(row, {}).get("figures", {}).get("auroc")
        if found and found["low"] is not None:
            if found["low"] <= 0.5 <= found["high"]:
                end = "the interval holds 0.5: not shown to be better than chance"
            else:
                end = "better than chance" if found["low"] > 0.5 else "worse than chance: the score is inverted"
            said.append(
                f"`{row}` has a test AUROC of {found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f}); {end}."
            )
    return " ".join(said) or "Nothing has been measured yet."


SYSTEM = System("mammography", "Mammography: an autoencoder and mean + k sd", _trainings(), section)

if __name__ == "__main__":
    sys.exit(main([SYSTEM]))
