"""The operating point as a slider, with what it costs."""

from __future__ import annotations

import streamlit as st

from medanomaly.app.operating import ALARMS, SENSITIVITY, Cost, Curve, Share
from medanomaly.app.state import Page
from medanomaly.evidence import wording

_ASKED = {ALARMS: "False alarms", SENSITIVITY: "Sensitivity"}
_LABELS = {ALARMS: "At most so many false alarms per 100 healthy", SENSITIVITY: "Find at least so many of 100 abnormal"}


def show_point(page: Page) -> None:
    """Show the slider, or why there is none, and the point at work."""
    st.markdown("**Operating point**")
    curve = page.curve
    if curve is None:
        st.caption(str(page.loaded.curve))
        _validated(page)
        return
    asked = st.segmented_control(
        "Ask for", curve.questions, default=ALARMS, required=True, format_func=_ASKED.__getitem__, key="asked"
    )
    own = _own(curve, asked)
    # A slider that was not moved stands where the bundle's own point lies.
    st.slider(
        _LABELS[asked],
        0.0 if asked == ALARMS else 1.0,
        100.0,
        value=own,
        step=1.0 if len(curve.normal) <= 200 else 0.5,
        format="%g",
        key=f"per_hundred-{page.state.bundle}-{asked}-{st.session_state.get('resets', 0)}",
        on_change=_moved,
        args=(page, curve, asked),
    )
    if not page.point.moved:
        _validated(page)
        return
    st.warning("This is not the validated point.", icon=":material/warning:")
    st.button("Back to the validated point", on_click=_back, args=(page,), width="stretch")
    st.markdown(cost_in_words(curve.cost(float(page.point.decider.threshold))))


def _moved(page: Page, curve: Curve, asked: str) -> None:
    key = f"per_hundred-{page.state.bundle}-{asked}-{st.session_state.get('resets', 0)}"
    page.state.threshold = curve.threshold(asked, st.session_state[key])


def _back(page: Page) -> None:
    page.state.threshold = None
    st.session_state["resets"] = st.session_state.get("resets", 0) + 1


def _own(curve: Curve, asked: str) -> float:
    cost = curve.cost(float(curve.decider.threshold))
    share = cost.alarms if asked == ALARMS else cost.sensitivity
    assert share is not None  # asked for only where there is one
    return float(min(100, max(0 if asked == ALARMS else 1, round(100 * share.value))))


def _validated(page: Page) -> None:
    card = page.loaded.bundle.card
    question = card["operating_point"].get("question")
    if question:
        st.caption(f"Validated point: “{question}”")
    image = (card.get("results") or {}).get("image") or {}
    said = []
    for name, words in (("sensitivity", "Sensitivity"), ("specificity", "Specificity")):
        figure = image.get(name) or {}
        if figure.get("value") is not None:
            said.append(f"{words} on test images: {wording.with_span(figure, 'percent')}")
    if said:
        st.caption("  \n".join(said))


def cost_in_words(cost: Cost) -> str:
    """What a threshold does, for Markdown; on validation images, with intervals."""
    lines = []
    if cost.alarms is not None:
        lines.append(f"**{_per_hundred(cost.alarms)}** of 100 healthy flagged ({_interval(cost.alarms)})")
    if cost.sensitivity is not None:
        found = cost.sensitivity
        missed = Share(found.total - found.count, found.total)
        lines.append(f"**{_per_hundred(found)}** of 100 abnormal found ({_interval(found)})")
        lines.append(f"**{_per_hundred(missed)}** of them missed ({_interval(missed)})")
    else:
        lines.append("What is missed is not known: validation held no abnormal image.")
    healthy = f"{cost.alarms.total} healthy" if cost.alarms else ""
    abnormal = f"{cost.sensitivity.total} abnormal" if cost.sensitivity else ""
    images = " and ".join(part for part in (healthy, abnormal) if part)
    return "  \n".join(lines) + f"\n\n:small[On {images} validation images, 95 % intervals (Wilson); not tested.]"


def _per_hundred(share: Share) -> str:
    return f"{100 * share.value:.3g}"


def _interval(share: Share) -> str:
    low, high = share.interval
    return f"{100 * low:.1f}–{100 * high:.1f}"
