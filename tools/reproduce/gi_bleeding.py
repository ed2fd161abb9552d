"""GI bleeding: a plain autoencoder of capsule frames, its threshold set by hand.

python -m tools.reproduce.gi_bleeding [--quick] [--seed N] [--rows ROW …] [--fresh]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pandas as pd
from tools.reproduce import prevalence
from tools.reproduce.candidates import best, one_class_configs
from tools.reproduce.cells import Cells
from tools.reproduce.command import main
from tools.reproduce.figures import Tested, decided, decisions, pixel_figures, usual
from tools.reproduce.paths import DATA, Paths
from tools.reproduce.plots import Point
from tools.reproduce.splits import exact_masks
from tools.reproduce.system import Section, System, told
from tools.reproduce.tables import Figure, Table, Value
from tools.reproduce.training import LOOKS, Training, rooted

#: What the system's description says.
THRESHOLD, NORMAL_ERROR, BLEEDING_ERROR = 0.0057, 0.0011, 0.0068
PRECISION, F1, AUROC = 0.83, 0.90, 0.72

HERE = (f"{DATA}/wce_bleeding/split.csv",)
UNSEEN = (f"{DATA}/wce_bleeding/split_unseen_capsule.csv",)
EXACT = {"exact": {"--data": "medanomaly.data.Table", **rooted("wce_bleeding"), f"{LOOKS}csv": "DIR/exact.csv"}}
CROP, SPLIT = f"{LOOKS}field_of_view", f"{LOOKS}split"
PLAIN = {
    "plain_whole": {},
    "plain_crop": {CROP: "crop:0.67"},
    "plain_whole_unseen": {SPLIT: "unseen_capsule"},
    "plain_crop_unseen": {CROP: "crop:0.67", SPLIT: "unseen_capsule"},
}
CANDIDATES = one_class_configs("wce")
#: Share of bleeding frames among the test frames of the main split.
TEST_SHARE = 835 / 1045


def with_share(validation: pd.DataFrame, share: float) -> pd.DataFrame:
    """Validation frames of which a share in (0, 1) bleeds: frames of the class that is too many are left out by lot."""
    parts = {bool(abnormal): part for abnormal, part in validation.groupby("abnormal")}
    bleeding = min(len(parts[True]), round(len(parts[False]) * share / (1 - share)))
    numbers = {True: bleeding, False: round(bleeding * (1 - share) / share)}
    return pd.concat([parts[abnormal].sample(number, random_state=0) for abnormal, number in numbers.items()])


def read(run: Tested, also: Mapping[str, Tested]) -> dict[str, Any]:
    """Ranking, decisions by four rules, localisation on boxes and on exact masks, and mean errors by class."""
    test = run.predictions
    balanced, alike = (with_share(run.validation, share) for share in (0.5, float(test["abnormal"].mean())))
    figures = {
        **usual(run),
        **decisions(decided(test, balanced, "f1"), "by_hand_"),
        **decisions(decided(test, alike, "f1"), "prevalence_"),
        **decisions(decided(test, balanced, "manual", THRESHOLD), "literal_"),
        **decisions(decided(test, run.validation, "quantile", 0.95), "quantile_"),
        **pixel_figures(run, "box_"),
    }
    if "exact" in also:
        figures |= pixel_figures(also["exact"], "exact_")
    means = test.groupby("abnormal")["raw_score"].mean()
    facts = {"normal_error": float(means[False]), "bleeding_error": float(means[True])}
    return {"figures": figures, "facts": facts}


def _trainings() -> list[Training]:
    masks = (*HERE, f"{DATA}/wce_bleeding/pixel_masks")
    made = []
    for name, options in PLAIN.items():
        unseen = SPLIT in options
        made.append(
            Training(
                name,
                "tools/reproduce/configs/gi_seed.yaml",
                options,
                read,
                UNSEEN if unseen else masks,
                None if unseen else exact_masks,
                {} if unseen else EXACT,
                minutes=2,
            )
        )
    for name in CANDIDATES:
        path, minutes = f"configs/{name}.yaml", 4 if name.startswith("perceptual") else 2
        quick: dict[str, str] | None = {} if name == "ae_wce" else None
        made.append(Training(name, path, {}, read, masks, exact_masks, EXACT, quick, minutes))
        made.append(
            Training(f"{name}_unseen", path, {SPLIT: "unseen_capsule"}, read, UNSEEN, quick=None, minutes=minutes)
        )
    return made


def arithmetic(share: float) -> Table:
    """What the three claims need of one another.

    Args:
        share: Share of bleeding frames in our test set.
    """
    recall = prevalence.recall_of(PRECISION, F1)
    balanced_rate = prevalence.false_positive_rate_of(PRECISION, recall, 0.5)
    any_curve, concave = (bound(recall, balanced_rate) for bound in (prevalence.least_auroc, prevalence.concave_auroc))
    impossible = f"at least {any_curve:.2f}, or {concave:.2f} if the ROC curve is concave: not {AUROC}"
    rows: list[list[Value]] = [_line("balanced, as claimed", 0.5, PRECISION, recall, F1, balanced_rate, impossible)]
    for what, rate in (
        (f"from here on some ROC curve of AUROC {AUROC} has this point", 1 - AUROC / recall),
        ("from here on a concave one has", 1 + recall - 2 * AUROC),
    ):
        at = prevalence.prevalence_for(PRECISION, recall, rate)
        rows.append(_line(what, at, PRECISION, recall, F1, rate, str(AUROC)))
    for what, at in (
        ("flag everything, balanced", 0.5),
        ("flag everything, where that has the claimed precision", PRECISION),
        ("flag everything, our test set", share),
    ):
        precision, f1 = prevalence.flag_all(at)
        rows.append(_line(what, at, precision, 1.0, f1, 1.0, "0.5"))
    return Table(
        "Can precision 0.83, F1 0.90 and AUROC 0.72 come from one test set?",
        ("where", "prevalence", "precision", "recall", "F1", "false-positive rate", "AUROC"),
        rows,
        "Precision and F1 fix the recall: R = F1 · P / (2 P − F1). On a balanced set they then fix the false-positive "
        "rate, and no ROC curve through that point has so small an area. The three fit only where most frames bleed, "
        "and there flagging every frame does as well.",
    )


def _line(what: str, at: float, precision: float, recall: float, f1: float, rate: float, area: str) -> list[Value]:
    return [what, *(Figure(number) for number in (at, precision, recall, f1, rate)), area]


def section(cells: Cells, paths: Paths) -> Section:
    """The section of the page."""
    del paths
    winner = best(cells, CANDIDATES)
    rows = [*PLAIN, *CANDIDATES, *(f"{name}_unseen" for name in CANDIDATES)]
    ranking = Table(
        "Ranking: whole frames against the crop, all capsules against unseen ones",
        ("row", "validation AUROC", "test AUROC", "normal + bleeding"),
        [
            [
                _named(row, winner),
                cells.figure(row, "validation_auroc"),
                cells.figure(row, "auroc"),
                _images(cells, row),
            ]
            for row in rows
        ],
        "Whole frames show the border too, whose shape tells the capsule: what a row gains by them need not be blood. "
        "`plain_*`: the described system. **Best**: the highest validation AUROC of the one-class configurations.",
    )
    blocks: list[str | Table] = [
        told("gi_bleeding"),
        arithmetic(_share(cells)),
        ranking,
        _decisions(cells, winner),
        _errors(cells),
        _localisation(cells, winner),
    ]
    points = [
        Point("AUROC, plain, whole frames", cells.figure("plain_whole", "auroc"), AUROC),
        Point("AUROC, plain, cropped", cells.figure("plain_crop", "auroc"), AUROC),
        Point("precision, plain, whole, by hand", cells.figure("plain_whole", "by_hand_precision"), PRECISION),
        Point("F1, plain, whole, by hand", cells.figure("plain_whole", "by_hand_f1"), F1),
    ]
    if winner:
        points += [
            Point(f"AUROC, {winner}", cells.figure(winner, "auroc"), AUROC),
            Point(f"precision, {winner}, by prevalence", cells.figure(winner, "prevalence_precision"), PRECISION),
            Point(f"F1, {winner}, by prevalence", cells.figure(winner, "prevalence_f1"), F1),
        ]
    return Section(blocks, points)


def _decisions(cells: Cells, winner: str | None) -> Table:
    precision, f1 = prevalence.flag_all(_share(cells))
    rows: list[list[Value]] = [
        ["claimed", f"manual {THRESHOLD}", Figure(PRECISION), None, Figure(F1), None, None],
        ["flag everything", None, Figure(precision), Figure(0.5), Figure(f1), Figure(1.0), Figure(1.0)],
    ]
    rules = (
        ("by_hand_", "largest F1 on balanced validation"),
        ("prevalence_", "largest F1 on validation of the test's prevalence"),
        ("quantile_", "0.95 quantile of validation normals"),
    )
    for row in ("plain_whole", "plain_crop", *([winner] if winner else [])):
        literal = (("literal_", f"manual {THRESHOLD}, as claimed"),) if row in PLAIN else ()
        for prefix, rule in (*rules, *literal):
            names = ("precision", "precision_balanced", "f1", "sensitivity", "false_positives")
            rows.append([_named(row, winner), rule, *(cells.figure(row, prefix + name) for name in names)])
    heads = ("row", "threshold", "precision", "precision if half bled", "F1", "sensitivity", "false-positive rate")
    note = "Which threshold has the largest F1 depends on how many bleed: a set with more of them allows more alarms."
    return Table(f"Decisions at our test set's prevalence, {_share(cells):.3f}", heads, rows, note)


def _errors(cells: Cells) -> Table:
    rows: list[list[Value]] = [["claimed", NORMAL_ERROR, BLEEDING_ERROR, float(f"{BLEEDING_ERROR / NORMAL_ERROR:.3g}")]]
    for row in PLAIN:
        normal, bleeding = (cells.fact(row, f"{kind}_error") for kind in ("normal", "bleeding"))
        ratio = bleeding / normal if normal else None
        rows.append([f"`{row}`", *(None if v is None else float(f"{v:.3g}") for v in (normal, bleeding, ratio))])
    heads = ("row", "normal", "bleeding", "ratio")
    return Table("Mean squared error of test frames", heads, rows)


def _localisation(cells: Cells, winner: str | None) -> Table:
    names = ("box_auroc", "box_froc_1", "box_dice", "exact_auroc", "exact_aupro", "exact_dice")
    rows = [
        [_named(row, winner), *(cells.figure(row, name) for name in names)]
        for row in ("plain_whole", "plain_crop", *CANDIDATES)
    ]
    return Table(
        "Localisation: box masks of the test frames, and the 11 exact masks",
        ("row", "boxes: pixel AUROC", "boxes found at 1 false mark a frame", "boxes: Dice", "exact: pixel AUROC",
         "exact: AUPRO", "exact: Dice"),
        rows,
        "Boxes are drawn generously and mark much healthy mucosa. The exact masks belong to 11 frames, some of them in "
        "validation, beside the normal test frames: wide intervals.",
    )  # fmt: skip


def _named(row: str, winner: str | None) -> str:
    return f"`{row}`, **best**" if row == winner else f"`{row}`"


def _images(cells: Cells, row: str) -> str | None:
    if row not in cells:
        return None
    images = cells.found[row]["images"]
    return f"{images['normal']} + {images['abnormal']}"


def _share(cells: Cells) -> float:
    """Share of bleeding frames in the test set of the main split: as measured, or else as known."""
    images = next((cells.found[row]["images"] for row in ("plain_whole", *CANDIDATES) if row in cells), None)
    return images["abnormal"] / (images["normal"] + images["abnormal"]) if images else TEST_SHARE


SYSTEM = System("gi_bleeding", "GI bleeding: a plain autoencoder of capsule frames", _trainings(), section)

if __name__ == "__main__":
    sys.exit(main([SYSTEM]))
