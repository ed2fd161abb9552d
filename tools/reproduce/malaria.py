"""Malaria cells: an autoencoder with a density of its codes, two criteria, and contaminated training.

python -m tools.reproduce.malaria [--quick] [--seed N] [--rows ROW …] [--fresh]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, TypeAlias

from tools.reproduce import latent
from tools.reproduce.cells import Cells
from tools.reproduce.command import main
from tools.reproduce.figures import Tested, auroc, decided, decisions, usual
from tools.reproduce.paths import DATA, Paths
from tools.reproduce.plots import Point
from tools.reproduce.splits import groups, random_malaria
from tools.reproduce.system import Section, System, told
from tools.reproduce.tables import Table
from tools.reproduce.training import LOOKS, MODEL, Training, rooted

HERE = (f"{DATA}/malaria_cells/split.csv",)
Reader: TypeAlias = Callable[[Tested, Mapping[str, Tested]], dict[str, Any]]
SHARES = (0.0, 0.01, 0.05)
PARTS = ("density", "reconstruction")
#: Beggel's schedule in the proportions of the paper: half of the epochs, rounds, and about as much again.
REJECTION = {
    f"{MODEL}rejection": "ocsvm",
    f"{MODEL}pretrain_epochs": "12",
    f"{MODEL}rejection_rounds": "5",
    f"{MODEL}rejection_every": "1",
    f"{MODEL}rejection_weight": "-0.1",
}
QUICK_REJECTION = {
    "--trainer.max_epochs": "3",
    f"{MODEL}pretrain_epochs": "1",
    f"{MODEL}rejection_rounds": "1",
}
#: With the code's kernel density and both criteria, as the system has them.
SYSTEMS_WAY = {f"{MODEL}density": "kde", f"{MODEL}criterion": "either"}
METHODS: dict[str, dict[str, str]] = {
    "plain": {f"{MODEL}adversarial_learning_rate": "0"},
    "adversarial": {},
    "rejection": REJECTION,
}
RANDOM = {"--data": "medanomaly.data.Table", **rooted("malaria_cells"), f"{LOOKS}csv": "DIR/random.csv"}


def read(run: Tested, also: Mapping[str, Tested]) -> dict[str, Any]:
    """Both criteria apart and together, each with a threshold at the 0.95 quantile of validation normals."""
    del also
    figures = usual(run)
    for part in PARTS:
        column = f"part_{part}"
        figures[f"{part}_auroc"] = auroc(run.predictions, column)
        figures |= decisions(decided(run.predictions, run.validation, "quantile", 0.95, column), f"{part}_")
    return {"figures": figures}


def read_latent(run: Tested, also: Mapping[str, Tested]) -> dict[str, Any]:
    """The same with what the plots need."""
    facts = {
        "losses": latent.losses(run),
        "codes": latent.codes(run),
        "histogram": latent.histogram(run, "part_density"),
    }
    return {**read(run, also), "facts": facts}


def read_classifier(run: Tested, also: Mapping[str, Tested]) -> dict[str, Any]:
    """The usual figures."""
    del also
    return {"figures": usual(run)}


def by_patient(reader: Reader) -> Reader:
    """A reader of a random split, whose AUROC gets the interval of drawing patients, as the other split's has it."""

    def reading(run: Tested, also: Mapping[str, Tested]) -> dict[str, Any]:
        found, patients = reader(run, also), groups("malaria_cells/split.csv")
        rows = run.predictions.assign(group=[patients[path] for path in run.predictions["path"]])
        return {**found, "figures": {**found["figures"], "auroc": auroc(rows)}}

    return reading


def _name(method: str, share: float) -> str:
    return f"{method}_{share:.0%}".replace("%", "")


def _trainings() -> list[Training]:
    small = "configs/aae_malaria.yaml"
    made = [
        Training(
            "vgg16",
            "configs/aae_malaria_vgg16.yaml",
            latent.LOGGER,
            read_latent,
            HERE,
            quick=None,
            minutes=20,
        )
    ]
    for share, (method, options) in product(SHARES, METHODS.items()):
        plotted = share == 0
        made.append(
            Training(
                _name(method, share),
                small,
                {**SYSTEMS_WAY, **options, f"{LOOKS}contamination": f"{share:g}", **(latent.LOGGER if plotted else {})},
                read_latent if plotted else read,
                HERE,
                quick=(QUICK_REJECTION if method == "rejection" else {}) if share in (0.0, 0.05) else None,
                minutes=2.5,
            )
        )
    random = {**SYSTEMS_WAY, **RANDOM}
    made.append(
        Training("adversarial_random_split", small, random, by_patient(read), HERE, random_malaria, minutes=2.5)
    )
    classifier = "configs/classifier_malaria.yaml"
    made += [
        Training("classifier", classifier, {}, read_classifier, HERE, quick=None, minutes=2.5),
        Training(
            "classifier_random_split",
            classifier,
            RANDOM,
            by_patient(read_classifier),
            HERE,
            random_malaria,
            quick=None,
            minutes=2.5,
        ),
    ]
    return made


def section(cells: Cells, paths: Paths) -> Section:
    """The section of the page."""
    grid = [_name(method, share) for method, share in product(METHODS, SHARES)]
    names = ("density", "reconstruction")
    criteria = Table(
        "Density alone, reconstruction alone, either; training set with 0, 1 and 5 % parasitised cells passed off as "
        "healthy",
        ("row", "AUROC: density", "reconstruction", "either", "balanced accuracy: density", "reconstruction", "either"),
        [
            [
                f"`{row}`",
                *(cells.figure(row, f"{part}_auroc") for part in names),
                cells.figure(row, "auroc"),
                *(cells.figure(row, f"{part}_balanced_accuracy") for part in names),
                cells.figure(row, "balanced_accuracy"),
            ]
            for row in ("vgg16", *grid)
        ],
        "Each criterion's threshold is the 0.95 quantile of its values on validation normals, which are clean. "
        "`plain`: no adversarial prior; `adversarial`: with it; `rejection`: with it, and training images with "
        "unlikely codes rejected in rounds (Beggel et al. 2019); the number is the contamination in percent. `vgg16`: "
        "the system's own 7×7×7 code of a frozen VGG16.",
    )
    alarms = Table(
        "False-positive rates and sensitivities at those thresholds",
        ("row", "density: false positives", "sensitivity", "reconstruction: false positives", "sensitivity",
         "either: false positives", "sensitivity"),
        [
            [
                f"`{row}`",
                *(
                    cells.figure(row, prefix + name)
                    for prefix in ("density_", "reconstruction_", "")
                    for name in ("false_positives", "sensitivity")
                ),
            ]
            for row in ("vgg16", *grid)
        ],
    )  # fmt: skip
    pairs = (("adversarial_0", "adversarial_random_split"), ("classifier", "classifier_random_split"))
    split = Table(
        "How much a random split flatters: patients kept apart against cells dealt at random",
        ("row, by patient", "AUROC", "row, by image", "AUROC", "difference"),
        [
            [f"`{a}`", cells.figure(a, "auroc"), f"`{b}`", cells.figure(b, "auroc"), _difference(cells, a, b)]
            for a, b in pairs
        ],
        "The same numbers of images in each part; both intervals by drawing patients. The classifier learns from "
        "labelled cells, the autoencoder from healthy ones alone.",
    )
    blocks: list[str | Table] = [
        told("malaria"),
        criteria,
        alarms,
        split,
    ]
    plots = {}
    drawn = ["vgg16", *(_name(method, 0.0) for method in METHODS)]
    facts = {row: cells.found[row]["facts"] for row in drawn if row in cells and cells.fact(row, "losses")}
    if facts:
        plots["malaria_latent"] = "Loss curves, codes of test images, and the density criterion by class"
        latent.draw(facts, paths.plot("malaria_latent"))
    shown = ("vgg16", "plain_0", "adversarial_0", "rejection_0", "plain_5", "adversarial_5", "rejection_5")
    points = [Point(f"balanced accuracy, {row}, either", cells.figure(row, "balanced_accuracy")) for row in shown]
    points += [Point(f"AUROC, {row}", cells.figure(row, "auroc")) for pair in pairs for row in pair]
    return Section(blocks, points, plots)


def _difference(cells: Cells, first: str, second: str) -> str | None:
    if first not in cells or second not in cells:
        return None
    values = [cells.found[row]["figures"]["auroc"]["value"] for row in (first, second)]
    return f"{values[1] - values[0]:+.3f}"


SYSTEM = System(
    "malaria", "Malaria cells: density and reconstruction", _trainings(), section, ("auroc", "density_auroc")
)

if __name__ == "__main__":
    sys.exit(main([SYSTEM]))
