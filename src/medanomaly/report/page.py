"""Render the report of one run: one HTML file without network, scripts or other files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from medanomaly.decision.caveat_record import fitted_on
from medanomaly.decision.old_caveat_titles import as_meant
from medanomaly.evidence import run_caveats
from medanomaly.metrics import formatting
from medanomaly.report import charts, curves
from medanomaly.report.check_cards import check_cards, subgroups
from medanomaly.report.checklist import filled
from medanomaly.report.intended_use import INTENDED_USE, limits
from medanomaly.report.pictures import Case, galleries

_TEMPLATES = Path(__file__).parent / "templates"
#: What a part of the evidence is where an older run did not write it.
_RUN: dict[str, Any] = {
    **dict.fromkeys(("model", "data", "model_class"), ""),
    **{key: {} for key in ("options", "data_options", "versions")},
    **dict.fromkeys(("seed", "epochs")),
}
_DATA: dict[str, Any] = {"counts": [], "groups_known": False, "split_sha256": None, "reading": None}
_FIGURES = ("auroc", "average_precision", "sensitivity", "specificity", "precision", "f1")
_LATER = ("partial_auroc", "balanced_accuracy", "mcc", "likelihood_ratio_positive", "likelihood_ratio_negative",
          "flag_all_f1", "calibration", "prevalence")  # fmt: skip


def completed(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """The evidence with every key that the page looks at; what an older run lacks is None or empty.

    Raises:
        KeyError: if there is no ``image`` with its counts, without which there is nothing to show.
    """
    image = evidence["image"]
    checks = dict(evidence.get("checks") or {})
    run = {**_RUN, **{key: value for key, value in (evidence.get("run") or {}).items() if value is not None}}
    return {
        **evidence,
        "created": evidence.get("created"),
        "run": run,
        "data": {**_DATA, **{key: value for key, value in (evidence.get("data") or {}).items() if value is not None}},
        "operating_point": evidence.get("operating_point"),
        "image": {
            **dict.fromkeys(_LATER),
            **{name: {"value": None} for name in _FIGURES},
            "predictive_values": [],
            "parts": {},
            **{key: value for key, value in image.items() if value is not None},
            "confusion": image.get("confusion"),
            **{key: image[key] for key in ("images", "normal", "abnormal")},
        },
        "pixel": {"auroc": {}, "aupro": {}, "dice": None, "froc": None, "froc_at": [], "mask_note": "",
                  **evidence["pixel"]} if evidence.get("pixel") else None,
        "checks": checks,
        "unranked": evidence.get("unranked"),
        "failed": evidence.get("failed") or [],
        "caveats": as_meant(evidence.get("caveats")) or [],
        "skipped": evidence.get("skipped") or [],
    }  # fmt: skip


def in_order(caveats: Sequence[Mapping[str, str]], failed: Sequence[Mapping[str, Any]]) -> list[Mapping[str, str]]:
    """Caveats, warnings first; what failed stands before them, with each error and where its traceback is."""
    others = [caveat for caveat in caveats if caveat["title"] != run_caveats.FAILED]
    first = [] if not failed else [run_caveats.of_failures(failed, whole=True)]
    return [*first, *sorted(others, key=lambda caveat: caveat["severity"] != "warning")]


def environment() -> jinja2.Environment:
    """The templates, with :mod:`medanomaly.metrics.formatting` as filters; all is escaped unless it is our own SVG."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = ("number", "signed", "percent", "raw", "plain", "moment", "sentence", "rule", "chance", "span", "with_span")
    made.filters.update({name: getattr(formatting, name) for name in words})
    made.filters["fitted_on"] = fitted_on
    return made


def render(
    evidence: Mapping[str, Any],
    scores: np.ndarray,
    abnormal: np.ndarray,
    cases: Sequence[Case],
    no_pictures: str = "No pictures were chosen for this page.",
    stage: Callable[[str], AbstractContextManager] = nullcontext,
) -> str:
    """The whole page as one self-contained HTML string.

    Args:
        evidence: the figures of a run, schema 1. Any value may be None (undefined), and "pixel" as a whole; keys that
            an older run did not write may be missing.
        scores: (n,) float, raw scores of the test images; for a two-sided rule their distances from its centre; of a
            run whose raw scores are not known, its mapped ones, which are shown and not ranked.
        abnormal: (n,) bool, their truth.
        cases: picture rows, shown by kind and otherwise in the given order. Pictures are scaled down to at most 320
            pixels a side, and further where there are many, so that together they stay below 8.5 MB.
        no_pictures: what the page says where there are no cases.
        stage: a context for each chart and for the pictures, by name; one that ends exceptions leaves the chart out.
            ``evidence["failed"]`` is looked at after them.
    """
    whole = completed(evidence)
    point, image, pixel = whole["operating_point"] or {}, whole["image"], whole["pixel"] or {}
    threshold = point.get("threshold")
    ranks = whole["unranked"] is None
    name = ("raw score" if point.get("centre") is None else "distance of raw score") if ranks else "score, not raw"
    precision = f"average precision {formatting.with_span(image['average_precision'])}"
    plans: dict[str, Callable[[], str | None]] = {
        "histogram": lambda: charts.score_histogram(scores, abnormal, threshold, name),
        "roc": lambda: curves.roc(scores, abnormal, threshold, f"AUROC {formatting.with_span(image['auroc'])}"),
        "precision_recall": lambda: curves.precision_recall(scores, abnormal, threshold, precision),
        "calibration": lambda: _calibration(image["calibration"]),
        "froc": lambda: curves.froc(pixel.get("froc") or []),
    }
    drawn: dict[str, str | None] = dict.fromkeys(plans)
    for key, plan in plans.items():
        if ranks or key not in ("roc", "precision_recall"):
            with stage(f"chart {key.replace('_', ' ')}"):
                drawn[key] = plan()
    pictures: list[Any] = []
    with stage("pictures"):
        pictures = galleries(cases)
    if any(entry["stage"] == "pictures" for entry in evidence.get("failed") or []):
        no_pictures = "The pictures could not be made."
    template = environment().get_template("report.html.j2")
    return template.render(
        evidence=whole,
        run=whole["run"],
        data=whole["data"],
        image=image,
        pixel=whole["pixel"],
        point=whole["operating_point"],
        summary=formatting.summary(whole),
        caveats=in_order(whole["caveats"], evidence.get("failed") or []),
        charts={name: None if chart is None else Markup(chart) for name, chart in drawn.items()},
        checks=check_cards(whole["checks"], image["auroc"], whole["data"]["groups_known"]),
        subgroups=subgroups(whole["checks"].get("subgroups") or {}),
        galleries=pictures,
        no_pictures=no_pictures,
        limits=limits(whole),
        intended_use=INTENDED_USE,
        checklist=filled(whole),
    )  # fmt: skip


def _calibration(record: Mapping[str, Any] | None) -> str | None:
    if not record:
        return None
    figures = f"ECE {formatting.number(record.get('ece'))}, Brier {formatting.number(record.get('brier'))}"
    return curves.calibration(record.get("curve") or [], figures)
