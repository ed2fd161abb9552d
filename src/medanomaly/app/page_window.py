"""Window and level for grey images of more than 8 bits."""

from __future__ import annotations

import streamlit as st

from medanomaly.app.picture import DEEP, FILE, FULL, OWN, PERCENTILES, Values, values
from medanomaly.app.worklist import Item


def chosen_window(item: Item) -> tuple[float, float] | None:
    """Offer a window where the image has depth for it.

    Returns:
        Centre and width in the file's values; None as the file says.

    Raises:
        ImageError: if the image cannot be read.
    """
    if item.file.kind.name not in DEEP:
        return None
    kept = st.session_state.get("kept-values")
    if kept is None or kept[0] != item.address:
        kept = (item.address, values(item))
        st.session_state["kept-values"] = kept
    found: Values = kept[1]
    if not found.adjustable:
        return None
    names = (FILE, FULL, PERCENTILES, OWN)
    begin = FILE if found.filled else PERCENTILES
    name = st.segmented_control(
        "Window", names, default=begin, required=True, key=f"window-{begin}", label_visibility="collapsed"
    )
    if name == FILE:
        return None
    if name != OWN:
        return found.preset(name)
    low, high = found.low, found.high
    step = 1.0 if high - low >= 50 else (high - low) / 100
    centre, width = found.preset(PERCENTILES)
    left, right = st.columns(2)
    return (
        left.slider("Level (centre)", low, high, min(high, max(low, centre)), step, key=f"level-{item.number}"),
        right.slider(
            "Window (width)", step, high - low, min(high - low, max(step, width)), step, key=f"width-{item.number}"
        ),
    )
