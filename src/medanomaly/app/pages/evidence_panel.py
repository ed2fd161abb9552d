"""Draw the evidence of the bundle in use: caveats first, then figures, other points, and its origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from medanomaly.app.operating_curve import ALARMS, Curve, Share
from medanomaly.app.pages.escape import escaped, plain, table
from medanomaly.app.pages.score_chart import distribution
from medanomaly.app.session.page_state import Page
from medanomaly.decision.caveat_record import fitted_on
from medanomaly.metrics import formatting
from medanomaly.report.check_cards import check_cards

_IMAGE = {
    "auroc": ("AUROC", "number"),
    "average_precision": ("Average precision", "number"),
    "sensitivity": ("Sensitivity", "percent"),
    "specificity": ("Specificity", "percent"),
    "precision": ("Precision, at the test set's prevalence", "percent"),
    "f1": ("F1", "number"),
    "balanced_accuracy": ("Balanced accuracy", "percent"),
    "mcc": ("Matthews correlation", "number"),
    "likelihood_ratio_positive": ("Likelihood ratio of a flag", "ratio"),
    "likelihood_ratio_negative": ("Likelihood ratio of none", "ratio"),
}
_PIXEL = {"auroc": ("Pixel AUROC", "number"), "aupro": ("AUPRO", "number"), "dice": ("Dice", "number")}
_STATES = {"good": "· ✓", "bad": "· ▲", "unclear": "· ?", "off": "·"}
_POINTS = (1, 2, 5, 10, 20, 50)


def show_evidence(page: Page) -> None:
    """Show what the bundle's card holds of its report."""
    card = page.loaded.bundle.card
    st.html(plain(page.loaded.name, strong=True))
    st.html(plain(str(card.get("intended_use") or "This bundle says nothing of its intended use.")))
    for caveat in card.get("caveats") or []:
        show = st.warning if caveat.get("severity") == "warning" else st.info
        show(f"**{escaped(str(caveat.get('title')))}.** {escaped(str(caveat.get('text')))}")
    left, right = st.columns(2, gap="medium")
    with left:
        _figures(card.get("results") or {})
    with right:
        _scores(page)
    _checks(card)
    _made(page, card)


def _checks(card: Mapping[str, Any]) -> None:
    """The honesty checks of the report; bundles of earlier versions hold their caveats alone."""
    checks = card.get("checks")
    if not checks:
        return
    st.markdown("**Honesty checks**")
    image = (card.get("results") or {}).get("image") or {}
    for one in check_cards(checks, image.get("auroc") or {}, bool((card.get("data") or {}).get("groups_known"))):
        with st.expander(escaped(f"{one['title']} {_STATES[one['state']]} {one['verdict']}")):
            st.html(plain(one["text"]))
            if one["facts"]:
                st.html(table([{"what": name, "is": text} for name, text in one["facts"]]))
            if one["table"]:
                head = one["table"]["head"]
                st.html(table([dict(zip(head, row, strict=True)) for row in one["table"]["rows"]]))


def _figures(results: Mapping[str, Any]) -> None:
    image, pixel = results.get("image") or {}, results.get("pixel") or {}
    if not image:
        st.caption("This bundle's card holds no results.")
        return
    count = f"{image.get('normal')} normal and {image.get('abnormal')} abnormal"
    st.html(plain(f"On {count} test images, at the validated point", strong=True))
    rows = [
        {"figure": title, "value (95 % interval)": formatting.with_span(found[name], style), "how": _how(found[name])}
        for found, names in ((image, _IMAGE), (pixel, _PIXEL))
        for name, (title, style) in names.items()
        if isinstance(found.get(name), Mapping)
    ]
    st.html(table(rows))
    confusion = image.get("confusion")
    if confusion:
        st.html(
            plain(
                f"{confusion['true_positive']} found, {confusion['false_negative']} missed, "
                f"{confusion['false_positive']} false alarms, {confusion['true_negative']} normal images passed.",
                small=True,
            )
        )


def _how(figure: Mapping[str, Any]) -> str:
    return str(figure.get("reason") or str(figure.get("interval") or "").split(",")[0])


def _scores(page: Page) -> None:
    curve = page.curve
    if curve is None:
        st.html(plain(str(page.loaded.curve), small=True))
        return
    st.markdown("**Scores of the validation images**")
    st.vega_lite_chart(spec=distribution(curve, page.point), width="stretch")
    st.markdown("**What other points would cost**, on validation")
    st.html(table([_point(curve, per_hundred) for per_hundred in _POINTS]))


def _point(curve: Curve, per_hundred: float) -> dict[str, str]:
    cost = curve.cost(curve.threshold(ALARMS, per_hundred))
    return {
        "at most of 100 healthy": f"{per_hundred:g}",
        "false alarms, %": _share(cost.alarms),
        "found, %": _share(cost.sensitivity),
        "raw score above": formatting.raw(cost.threshold),
    }


def _share(share: Share | None) -> str:
    if share is None:
        return "not known"
    low, high = share.interval
    return f"{100 * share.value:.1f} ({100 * low:.1f} – {100 * high:.1f})"


def _made(page: Page, card: Mapping[str, Any]) -> None:
    with st.expander("What it was made from"):
        data, point, parity = card.get("data") or {}, card["operating_point"], card.get("parity") or {}
        counts = data.get("counts") or []
        if counts:
            kept = ("split", "label", "images", "groups")
            st.html(table([{key: row.get(key) for key in kept} for row in counts]))
        facts = {
            "Operating point": f"{formatting.rule(point)}, threshold {formatting.raw(point['threshold'])}",
            "Fitted on": fitted_on(point),
            "Precision": card.get("precision"),
            "Torch against OpenVINO": f"{parity.get('images')} images, {parity.get('flips')} decisions differ"
            if parity
            else None,
            "Created": formatting.moment(card.get("created")),
            "Licence": card.get("licence"),
            "SHA-256 of the card": page.loaded.hash,
            **{f"Version of {name}": text for name, text in (card.get("versions") or {}).items()},
        }
        st.html(table([{"what": name, "is": str(text)} for name, text in facts.items() if text]))
