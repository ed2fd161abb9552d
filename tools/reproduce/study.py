"""The study: one small autoencoder on MNIST, PneumoniaMNIST and OCTMNIST, and synthetic anomalies.

python -m tools.reproduce.study [--quick] [--seed N] [--rows ROW …] [--fresh]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import pandas as pd
from tools.reproduce.candidates import best, one_class_configs
from tools.reproduce.cells import Cells
from tools.reproduce.command import main
from tools.reproduce.figures import Tested, auroc, decided, false_positives, flagged, sensitivity_at
from tools.reproduce.paths import DATA, Paths
from tools.reproduce.plots import Point
from tools.reproduce.speed import images_per_second
from tools.reproduce.system import Section, System, told
from tools.reproduce.tables import Figure, Table, Value
from tools.reproduce.training import LOOKS, MODEL, POINT, Training

from medanomaly.evidence.bootstrap_figures import proportion

FASHION = f"{DATA}/fashion_mnist/t10k-images-idx3-ubyte.gz"
#: Its table 1: reconstruction BCE; share of Fashion-MNIST, noise and real anomalies found; images a second.
CLAIMS: dict[str, tuple[float, float, float, float | None, float]] = {
    "mnist": (0.3408, 0.962, 0.873, None, 33.9),
    "pneumoniamnist": (0.7381, 0.862, 0.825, 0.260, 36.0),
    "octmnist": (0.5146, 0.698, 0.859, 0.190, 32.7),
}
TITLES = {"mnist": "MNIST", "pneumoniamnist": "PneumoniaMNIST", "octmnist": "OCTMNIST"}
#: The row beside the study's own column of each set: its training images are counted as the study counts them.
AS_COUNTED = {"mnist": "mnist", "pneumoniamnist": "pneumonia_both", "octmnist": "octmnist"}
#: mean ± 2 sd of the binary cross-entropy of normal validation images; the raw score stays the error itself.
RULE = {f"{MODEL}two_sided": "false", f"{POINT}rule": "sigma_two_sided", f"{POINT}value": "2"}
SET = {"--data": "tools.reproduce.study_data.StudySet"}
SYNTHETIC = {
    f"{LOOKS}synthetic_anomalies": json.dumps(["noise:0.2", f"foreign:{FASHION}"]),
    f"{LOOKS}synthetic_splits": "test",
}
TWICE = {f"{LOOKS}synthetic_per_image": "2"}
DIGITS = {
    f"{LOOKS}name": "mnist",
    f"{LOOKS}normal": json.dumps([str(digit) for digit in range(10)]),
    f"{LOOKS}train_images": "11000",
    f"{LOOKS}val_images": "2000",
    f"{LOOKS}test_images": "500",
}
CANDIDATES = one_class_configs("pneumoniamnist")


def real(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows without the synthetic anomalies."""
    return rows[~rows["label"].str.startswith("artificial-")]


def found(rows: pd.DataFrame, prefix: str = "") -> dict[str, Any]:
    """Shares of decided rows that are flagged, by kind of anomaly, and the false-positive rate."""
    images = real(rows)
    abnormal = images[images["abnormal"]]
    shares = {
        "false_positives": false_positives(rows),
        "fashion": flagged(rows, "artificial-foreign"),
        "noise": flagged(rows, "artificial-noise"),
    }
    if len(abnormal):  # MNIST has no real anomalies
        shares["real"] = proportion(int(abnormal["decision"].sum()), len(abnormal))
    return {prefix + name: share for name, share in shares.items()}


def read(run: Tested, also: Mapping[str, Tested]) -> dict[str, Any]:
    """Shares found by the run's own rule and by the study's, and of real anomalies at 5 % false positives."""
    del also
    figures = found(run.predictions)
    normal = run.validation[~run.validation["abnormal"]]
    figures |= found(decided(run.predictions, normal, "sigma_two_sided", 2), "two_sided_")
    images = real(run.predictions)
    if images["abnormal"].any():
        figures |= {"auroc": auroc(images), "real_at_5": sensitivity_at(images, 0.05)}
    if run.validation["abnormal"].any():
        figures |= {"validation_auroc": auroc(run.validation), "validation_at_5": sensitivity_at(run.validation, 0.05)}
    return {"figures": figures}


def read_study(run: Tested, also: Mapping[str, Tested]) -> dict[str, Any]:
    """The same with the mean error of normal test images and the speed of the bundle."""
    normal = run.predictions[~run.predictions["abnormal"]]
    facts = {
        "bce": float(normal["raw_score"].mean()),
        "images_per_second": images_per_second(run.folder),
        "test_normal": len(normal),
        "artificial": int((run.predictions["label"] == "artificial-noise").sum()),
    }
    return {**read(run, also), "facts": facts}


def _trainings() -> list[Training]:
    mnist = (f"{DATA}/mnist/train-images-idx3-ubyte.gz", FASHION)
    pneumonia = (f"{DATA}/pneumoniamnist/pneumoniamnist.npz", FASHION)
    oct_images = (f"{DATA}/octmnist/octmnist.npz", FASHION)
    mine = {**SET, **RULE, **SYNTHETIC}
    path = "configs/ae_study_{}.yaml".format
    made = [
        Training("mnist", path("mnist"), {**mine, **DIGITS}, read_study, mnist, minutes=2),
        Training(
            "pneumonia_both",
            path("pneumoniamnist"),
            {**mine, **TWICE, f"{LOOKS}both_classes": "true"},
            read_study,
            pneumonia,
        ),
        Training("pneumonia_normals", path("pneumoniamnist"), {**mine, **TWICE}, read_study, pneumonia),
        Training(
            "pneumonia_squared",
            path("pneumoniamnist"),
            {**mine, **TWICE, f"{MODEL}error": "mse"},
            read,
            pneumonia,
            quick=None,
        ),
        Training(
            "octmnist",
            path("octmnist"),
            {**mine, **TWICE, f"{LOOKS}train_images": "11000"},
            read_study,
            oct_images,
            minutes=2,
        ),
        Training("ae_mnist", "configs/ae_mnist.yaml", {**SET, **SYNTHETIC, **DIGITS}, read, mnist, minutes=2),
    ]
    for name in CANDIDATES:
        minutes = 4 if name.startswith("perceptual") else 1.5
        quick: dict[str, str] | None = {} if name in ("ae_pneumoniamnist", "vae_pneumoniamnist") else None
        made.append(
            Training(
                name, f"configs/{name}.yaml", {**SYNTHETIC, **TWICE}, read, pneumonia, quick=quick, minutes=minutes
            )
        )
    return made


def section(cells: Cells, paths: Paths) -> Section:
    """The section of the page."""
    del paths
    winner = best(cells, CANDIDATES, "validation_at_5")
    blocks: list[str | Table] = [
        told("study"),
        _table_one(cells),
        _beside(cells, winner),
        _real(cells, winner),
    ]
    points = []
    for name, (_, fashion, noise, sick, _) in CLAIMS.items():
        row = AS_COUNTED[name]
        points += [
            Point(f"{TITLES[name]}: Fashion-MNIST", cells.figure(row, "fashion"), fashion),
            Point(f"{TITLES[name]}: noise", cells.figure(row, "noise"), noise),
        ]
        if sick is not None:
            points.append(Point(f"{TITLES[name]}: real", cells.figure(row, "real"), sick))
    if winner:
        points.append(Point(f"real pneumonia, {winner}, 5 % false positives", cells.figure(winner, "real_at_5"), 0.26))
    return Section(blocks, points)


def _table_one(cells: Cells) -> Table:
    rows: list[list[Value]] = []
    for name, (bce, fashion, noise, sick, rate) in CLAIMS.items():
        row = AS_COUNTED[name]

        def share(figure: str, row: str = row) -> Value:
            return cells.figure(row, figure, percent=True)

        def number(fact: str, digits: int, row: str = row) -> Value:
            value = cells.fact(row, fact)
            return share("fashion") if value is None else f"{value:.{digits}f}"

        lines: list[list[Value]] = [
            ["reconstruction BCE", bce, number("bce", 4)],
            ["Fashion-MNIST found", Figure(fashion, percent=True), share("fashion")],
            ["noise of 0.2 found", Figure(noise, percent=True), share("noise")],
            ["false-positive rate", "left out", share("false_positives")],
            ["images a second", rate, number("images_per_second", 0)],
        ]
        if sick is not None:
            lines.insert(3, ["real anomalies found", Figure(sick, percent=True), share("real")])
        rows += [[TITLES[name], *line, f"`{row}`"] for line in lines]
    return Table(
        "Its table 1 beside ours",
        ("set", "figure", "claimed", "measured", "row"),
        rows,
        "Shares at mean ± 2 sd. Reconstruction: mean over the normal test images.",
    )


def _beside(cells: Cells, winner: str | None) -> Table:
    names = ("false_positives", "fashion", "noise", "real")
    own, theirs = "0.95 quantile", "mean ± 2 sd"
    rows: list[list[Value]] = [
        [f"`{row}`", theirs, *(_if_kept(cells, row, name) for name in names)]
        for row in ("mnist", "pneumonia_both", "pneumonia_normals", "pneumonia_squared", "octmnist")
    ]
    for row in ("ae_mnist", *CANDIDATES):
        named = f"`{row}`" + (", **best**" if row == winner else "")
        rows.append([named, own, *(_if_kept(cells, row, name) for name in names)])
        rows.append([named, theirs, *(_if_kept(cells, row, f"two_sided_{name}") for name in names)])
    return Table(
        "What normals alone change, and what the better plugins reach",
        ("row", "rule, of validation normals", "false-positive rate", "Fashion-MNIST", "noise", "real anomalies"),
        rows,
        "**Best**: finds most pneumonia among validation images at 5 % false positives. Binary cross-entropy is "
        "linear in the image's values: noise of mean zero changes it only by what is clipped at black and white, "
        "which is much on digits and little on grey films. `pneumonia_squared` is `pneumonia_normals` judged by its "
        "squared error instead. Anomalies of another set or of noise say little of disease: compare the columns.",
    )


def _if_kept(cells: Cells, row: str, name: str) -> Value:
    if row in cells and name not in cells.found[row]["figures"]:
        return None  # MNIST has no real anomalies
    return cells.figure(row, name, True)


def _real(cells: Cells, winner: str | None) -> Table:
    rows: list[list[Value]] = [["claimed", None, None, None, Figure(0.26, percent=True), "left out", None]]
    for row in ("pneumonia_both", "pneumonia_normals", "pneumonia_squared", *CANDIDATES):
        rows.append(
            [
                f"`{row}`" + (", **best**" if row == winner else ""),
                _if_plain(cells, row, "validation_auroc"),
                _if_kept(cells, row, "validation_at_5"),
                _if_plain(cells, row, "auroc"),
                cells.figure(row, "real", True),
                cells.figure(row, "false_positives", True),
                cells.figure(row, "real_at_5", True),
            ]
        )
    return Table(
        "Real pneumonia",
        ("row", "validation AUROC", "validation: found at 5 % false positives", "test AUROC", "found at its threshold",
         "false-positive rate there", "found at 5 % false positives"),
        rows,
        "The last column is a point of the ROC curve, where 5 % of the test's own normal images are flagged: no "
        "threshold that could have been chosen beforehand. Beside it stands what the threshold chosen on validation "
        "does: test normals come from another folder than validation normals, and more or fewer of them are flagged.",
    )  # fmt: skip


def _if_plain(cells: Cells, row: str, name: str) -> Value:
    if row in cells and name not in cells.found[row]["figures"]:
        return None  # with both classes passed off as normal, validation has no abnormal image
    return cells.figure(row, name)


SYSTEM = System(
    "study", "The study: a 28 px autoencoder and synthetic anomalies", _trainings(), section,
    ("fashion", "noise", "real", "false_positives", "auroc", "real_at_5"),
)  # fmt: skip

if __name__ == "__main__":
    sys.exit(main([SYSTEM]))
