"""Colours of all pages, charts and overlays: Okabe and Ito's, safe in every common colour blindness.

Source: M. Okabe, K. Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/. The style sheets of the page
and of the report write the same values out.
"""

from __future__ import annotations

BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
SKY_BLUE = "#56B4E9"
ORANGE = "#E69F00"

#: Normal images and abnormal or flagged ones: apart in grey print too.
NORMAL, ABNORMAL = BLUE, VERMILION
#: A mask's border over an image: apart from mucosa, greys and the heat map.
OUTLINE = SKY_BLUE


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, each from 0 to 255, of ``#rrggbb``."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
