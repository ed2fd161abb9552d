"""Answers of a run to the items of a reporting checklist, one function an item; results are in ``checklist_results``.

Each takes the completed evidence record and returns a sentence or two, or None where it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medanomaly.metrics.formatting import plain, raw, rule, with_span

Evidence = Mapping[str, Any]
#: Options of a model and of a data module that other answers are about.
_TRAINING = ("learning_rate", "weight_decay", "schedule", "loss", "optimizer", "noise", "freeze", "augment")
_SUBSET = ("split", "training", "validation", "contamination", "normal", "fractions", "group_frames", "on_error")
_LONGEST = 12  # settings that are spelt out


def model_name(evidence: Evidence) -> str | None:
    """Model and its AUROC."""
    run, auroc = evidence["run"], evidence["image"]["auroc"]
    return f"{run['model']}, an anomaly detector; AUROC {with_span(auroc)}." if run["model"] else None


def source(evidence: Evidence) -> str | None:
    """Data module and fingerprint."""
    data, digest = evidence["run"]["data"], evidence["data"]["split_sha256"]
    return f"{data}; fingerprint of images, labels and split {digest[:16]}…" if digest else data or None


def reading(evidence: Evidence) -> str | None:
    """How images are read."""
    return _settings(evidence["data"]["reading"])


def subset(evidence: Evidence) -> str | None:
    """Options of the data that select images."""
    return _settings({key: value for key, value in evidence["run"]["data_options"].items() if key in _SUBSET})


def missing(evidence: Evidence) -> str | None:
    """Images left out."""
    number = len(evidence["skipped"])
    return f"{number} images were left out; they are listed under “Left out”." if number else "No image was left out."


def masks(evidence: Evidence) -> str | None:
    """What is known of the masks."""
    note = (evidence["pixel"] or {}).get("mask_note")
    return f"Of the masks: {note}" if note else None


def annotated(evidence: Evidence) -> str | None:
    """How many test images have a mask."""
    pixel = evidence["pixel"]
    return f"{pixel['with_mask']} abnormal test images have a mask." if pixel and pixel.get("with_mask") else None


def blind(evidence: Evidence) -> str | None:
    """What the model is given."""
    exploratory = " The threshold was changed after the test." if _history(evidence) else ""
    return f"The model is given the image alone; labels of test images serve only to compute figures.{exploratory}"


def partitions(evidence: Evidence) -> str | None:
    """Images by split."""
    return _by_split(evidence)


def disjoint(evidence: Evidence) -> str | None:
    """Level of the split."""
    if not evidence["data"]["groups_known"]:
        return "By image: it is not known which images belong to one patient."
    shared = (evidence["checks"].get("groups") or {}).get("shared")
    if not shared:
        return "By group (the patient, study or run of near-identical frames)."
    images = sum(found["images"] for found in shared.values())
    proof = f"{images} test images are of groups that are elsewhere too." if images else "No test group is elsewhere."
    return f"By group (the patient, study or run of near-identical frames). {proof}"


def sample(evidence: Evidence) -> str | None:
    """Size of the test set."""
    image = evidence["image"]
    return f"The test set has {image['normal']} normal and {image['abnormal']} abnormal images."


def model(evidence: Evidence) -> str | None:
    """Class and options."""
    run = evidence["run"]
    options = _settings(run["options"])
    return f"{run['model_class'] or run['model']}" + (f"; {options}" if options else "")


def versions(evidence: Evidence) -> str | None:
    """Software."""
    return ", ".join(f"{name} {version}" for name, version in evidence["run"]["versions"].items()) or None


def seed(evidence: Evidence) -> str | None:
    """Seed of the random numbers."""
    return None if evidence["run"]["seed"] is None else f"Seed {evidence['run']['seed']}."


def training(evidence: Evidence) -> str | None:
    """Epochs and options of training."""
    run = evidence["run"]
    epochs = f"{run['epochs']} epochs" if run["epochs"] else None
    options = _settings({key: value for key, value in run["options"].items() if key in _TRAINING})
    return "; ".join(part for part in (epochs, options) if part) or None


def final(evidence: Evidence) -> str | None:
    """Which weights were tested."""
    epochs = evidence["run"]["epochs"]
    return f"The figures are those of weights/tested.ckpt, after {epochs} epochs of training." if epochs else None


def ensemble(evidence: Evidence) -> str | None:
    """One model, with the parts of its score."""
    parts = evidence["image"]["parts"]
    return "No ensemble: one model" + (f", whose score has the parts {', '.join(parts)}." if parts else ".")


def threshold(evidence: Evidence) -> str | None:
    """Rule, question and history of the operating point."""
    point = evidence["operating_point"]
    if not point:
        return None
    when = f"Set on validation images before the test{_among(evidence, 'validation', ', of which {} are tested too')}."
    if _history(evidence):
        when = "Exploratory: changed after the test."
    elif point["rule"] == "manual":
        when = "Given by hand."
    return f"{point.get('question', '')} Rule {rule(point)}, raw score above {raw(point['threshold'])}. {when}".strip()


def measures(evidence: Evidence) -> str | None:
    """Names of the figures."""
    names = ["AUROC", "average precision", "sensitivity", "specificity", "precision", "F1"]
    image, pixel = evidence["image"], evidence["pixel"] or {}
    more = (("partial_auroc", "partial AUROC"), ("balanced_accuracy", "balanced accuracy"), ("mcc", "MCC"),
            ("likelihood_ratio_positive", "likelihood ratios"), ("predictive_values", "predictive values"),
            ("calibration", "calibration"))  # fmt: skip
    names += [name for key, name in more if image.get(key)]
    names += [f"pixel {name}" for name in ("AUROC", "AUPRO", "Dice") if pixel.get(name.lower())]
    return ", ".join(names) + "."


def intervals(evidence: Evidence) -> str | None:
    """How intervals were made."""
    figures = [figure for figure in evidence["image"].values() if isinstance(figure, Mapping)]
    named = dict.fromkeys(figure["interval"] for figure in figures if figure.get("interval"))
    if evidence["image"]["auroc"].get("delong"):
        named["95 % DeLong"] = None
    return "; ".join(named) + "." if named else None


def robustness(evidence: Evidence) -> str | None:
    """Which honesty checks ran."""
    names = {"one_number": "a trivial baseline", "field_of_view": "border and corners alone",
             "covering": "occlusion of the lesion", "overfitting": "training against validation normals",
             "groups": "shared groups", "shared_images": "shared images"}  # fmt: skip
    done = [name for key, name in names.items() if (check := evidence["checks"].get(key)) and "reason" not in check]
    return f"Compared or tried: {', '.join(done)}; see “Honesty checks”." if done else None


def heat(evidence: Evidence) -> str | None:
    """Whether there is a heat map, and what the occlusion check says."""
    point = evidence["operating_point"] or {}
    if not (point.get("pixel") or evidence["pixel"]):
        return None
    covered = evidence["checks"].get("covering") or {}
    flips = (
        f" With the marked region covered, {covered['flips_back']} of {covered['flagged']} flagged images are passed."
        if covered.get("flagged") and covered.get("flips_back") is not None
        else ""
    )
    return f"A heat map of each image, with a pixel threshold.{flips}"


def internal(evidence: Evidence) -> str | None:
    """The test split."""
    image = evidence["image"]
    kept = ", in groups apart from those of training" if evidence["data"]["groups_known"] else ""
    seen = _among(evidence, "training", "{} of which training saw")
    unseen = f", {seen}" if seen else f" that training did not see{kept}"
    return f"{image['images']} test images of {evidence['run']['data']}{unseen}."


def indeterminate(evidence: Evidence) -> str | None:
    """That there are none."""
    del evidence
    return "There are none: every image that can be read gets a score and a decision."


def limitations(evidence: Evidence) -> str | None:
    """Titles of the caveats."""
    titles = [caveat["title"] for caveat in evidence["caveats"]]
    return f"This page's caveats: {'; '.join(titles)}. See also “Limits and intended use”." if titles else None


def protocol(evidence: Evidence) -> str | None:
    """The configuration."""
    del evidence
    return "Every setting of the run is in its config.yaml and evidence.json."


def available(evidence: Evidence) -> str | None:
    """The software."""
    version = evidence["run"]["versions"].get("medanomaly")
    return f"Software: medanomaly {version}, Apache-2.0." if version else None


def stored(evidence: Evidence) -> str | None:
    """Files of the run."""
    del evidence
    return "Every score and decision is in predictions.csv, the split in split.csv, the weights in weights/tested.ckpt."


def _among(evidence: Evidence, split: str, text: str) -> str:
    """``text`` with the number of test images that are also in ``training`` or ``validation``; "" for none."""
    part = ((evidence["checks"].get("shared_images") or {}).get(split)) or {}
    return text.format(part["shared"]) if part.get("shared") else ""


def _history(evidence: Evidence) -> list[Any]:
    return (evidence["operating_point"] or {}).get("history") or []


def _by_split(evidence: Evidence) -> str | None:
    totals: dict[str, dict[str, int]] = {}
    for row in evidence["data"]["counts"]:
        kinds = totals.setdefault(row["split"], {"normal": 0, "abnormal": 0})
        kinds["normal" if row["normal"] else "abnormal"] += row["images"]
    parts = [f"{name} {kinds['normal']} normal and {kinds['abnormal']} abnormal" for name, kinds in totals.items()]
    return "; ".join(parts) + "." if parts else None


def _settings(options: Mapping[str, Any] | None) -> str | None:
    """Settings as "size 64, 96; intensity dtype"; those that are None are left out."""
    shown = [f"{name} {plain(value)}" for name, value in (options or {}).items() if value is not None]
    more = f"; and {len(shown) - _LONGEST} more below" if len(shown) > _LONGEST else ""
    return "; ".join(shown[:_LONGEST]) + more or None
