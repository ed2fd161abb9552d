"""What lies one click below the viewer: other bundles, what the model saw, the file's header."""

from __future__ import annotations

import numpy as np
import streamlit as st

from medanomaly.app.header import header
from medanomaly.app.looks import Look, data_uri
from medanomaly.app.picture import shrunk
from medanomaly.app.state import Page
from medanomaly.app.wording import escaped
from medanomaly.app.worklist import Item
from medanomaly.evidence import wording
from medanomaly.imaging import ImageError, overlay

_SMALL = 360


def show_more(page: Page, item: Item, look: Look) -> None:
    """Offer what there is of the chosen image."""
    if len(page.room.bundles) > 1 and st.toggle("Compare the bundles on this image", key="compare"):
        _compare(page, item)
    # What is behind a closed expander is not computed.
    with st.expander("What the model saw", key="input", on_change="rerun") as opened:
        if opened.open:
            _show_input(page, item, look.result.image)
    if item.file.kind.name == "DICOM":
        with st.expander("DICOM header", key="header", on_change="rerun") as opened:
            if opened.open:
                _show_header(item)


def _show_header(item: Item) -> None:
    personal = st.toggle("Show names, numbers and dates", key=f"personal-{item.number}")
    try:
        found = header(item.file.path, personal)
    except ImageError as error:
        st.error(escaped(f"{item.name}: {error}"))
        return
    st.table([{"attribute": name, "value": value} for name, value in found.items()])


def _show_input(page: Page, item: Item, image: np.ndarray) -> None:
    """The model's input, and what the model made of it."""
    pictures = {"as the model saw it": image}
    if page.loaded.reconstructor is not None:
        pictures["as the model put it together again"] = page.loaded.reconstructor(image)
    height, width = image.shape[:2]
    alone = [f"{item.name} {how}" for how in pictures]
    # Within the page, as a picture that the server keeps apart is gone when the next image is chosen before it arrives.
    within = [data_uri(picture) for picture in pictures.values()]
    st.image(within, caption=list(pictures), width=max(160, width), alt=alone)
    reading = page.loaded.bundle.reading
    st.caption(
        f"{width} × {height} pixels, intensity {reading.intensity}, field of view {reading.field_of_view}, "
        f"colour {reading.colour}."
    )


def _compare(page: Page, item: Item) -> None:
    for column, loaded in zip(st.columns(len(page.room.bundles)), page.room.bundles, strict=True):
        with column, st.container(border=True):
            st.markdown(f"**{escaped(loaded.name)}**")
            try:
                look = Look.at(loaded.detector, item)
            except ImageError as error:
                st.error(escaped(str(error).replace(str(item.file.path), item.name)))
                continue
            result, heat = look.result, look.result.heat
            shown = result.image if heat is None else overlay(result.image, heat)
            small = data_uri(shrunk(np.ascontiguousarray(shown), _SMALL))
            st.image(small, width="stretch", alt=f"{item.name} by {loaded.name}")
            p_value = loaded.p_value(result.raw_score)
            said = "" if p_value is None else f", p-value {wording.chance(p_value)}"
            st.markdown(f"{result.decision}, score {result.score:.3f}{said}")
            st.caption(f"Raw score {wording.raw(result.raw_score)}, each at its own validated point.")
