"""Draw the operating point as a slider, with what it costs."""

from __future__ import annotations

import math

import streamlit as st

from medanomaly.app.operating_curve import ALARMS, SENSITIVITY, Cost, Curve, Share
from medanomaly.app.pages.escape import plain
from medanomaly.app.session.page_state import Page
from medanomaly.metrics import formatting

_ASKED = {ALARMS: "False alarms", SENSITIVITY: "Sensitivity"}
_LABELS = {ALARMS: "False alarms per 100 healthy, at most", SENSITIVITY: "Found of 100 abnormal, at least"}


def show_point(page: Page) -> None:
    """Show the slider, or why there is none, and the point at work."""
    st.markdown("**Operating point**")
    curve = page.curve
    if curve is None:
        st.html(plain(str(page.loaded.curve), small=True))
        _validated(page)
        return
    asked = st.segmented_control(
        "Ask for",
        curve.questions,
        default=ALARMS,
        required=True,
        format_func=_ASKED.__getitem__,
        key=f"asked-{page.state.bundle}",
        on_change=_turn,
        args=(page,),
    )
    step = 1.0 if len(curve.normal) <= 200 else 0.5
    # The slider stands where the point at work answers the question, whichever was asked when it was moved.
    stands, key = answer(curve, asked, float(page.point.decider.threshold), step), _key(page, asked)
    st.slider(
        _LABELS[asked],
        0.0,
        100.0,
        value=stands,
        step=step,
        format="%g",
        key=key,
        on_change=_moved,
        args=(page, curve, asked, key, stands),
    )
    if not page.point.moved:
        _validated(page)
        return
    st.warning("This is not the validated point.", icon=":material/warning:")
    st.button("Back to the validated point", on_click=_back, args=(page,), width="stretch")
    st.markdown(cost_in_words(curve.cost(float(page.point.decider.threshold))))


def _key(page: Page, asked: str) -> str:
    return f"per_hundred-{page.state.bundle}-{asked}-{page.state.turns}"


def _turn(page: Page) -> None:
    page.state.turns += 1


def _moved(page: Page, curve: Curve, asked: str, key: str, stood: float) -> None:
    """Take over where the reader put the slider, and nothing else.

    Streamlit also calls this for a slider that another has replaced, of another bundle or question.
    """
    value = st.session_state.get(key)
    if value is not None and value != stood and key == _key(page, asked):
        page.state.threshold = curve.threshold(asked, value)


def _back(page: Page) -> None:
    page.state.threshold = None
    page.state.turns += 1


def answer(curve: Curve, asked: str, threshold: float, step: float) -> float:
    """What a threshold answers to a question, in steps of the slider, so that the sentence beside it is true.

    False alarms are rounded up, what is found is rounded down.
    """
    cost = curve.cost(threshold)
    share = cost.alarms if asked == ALARMS else cost.sensitivity
    assert share is not None  # asked for only where there is one
    steps = 100 * share.count / share.total / step
    if asked == ALARMS:
        return float(min(100.0, math.ceil(steps - 1e-9) * step))
    return float(math.floor(steps + 1e-9) * step)


def _validated(page: Page) -> None:
    card = page.loaded.bundle.card
    question = card["operating_point"].get("question")
    if question:
        st.html(plain(f"Validated point: “{question}”", small=True))
    image = (card.get("results") or {}).get("image") or {}
    said = []
    for name, words in (("sensitivity", "Sensitivity"), ("specificity", "Specificity")):
        figure = image.get(name) or {}
        if figure.get("value") is not None:
            said.append(f"{words} on test images: {formatting.with_span(figure, 'percent')}")
    if said:
        st.html("".join(plain(line, small=True) for line in said))


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
