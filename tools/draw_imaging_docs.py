"""Draw the pictures of docs/imaging.md: each rule before and after, on drawn frames. No patient is in them.

Run: python tools/draw_imaging_docs.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from medanomaly.imaging import Preprocessing
from medanomaly_phantom.drawing import draw

SIDE = 160
#: Bytes a picture may take in the repository.
LARGEST = 60_000


def frame() -> np.ndarray:
    """A drawn endoscopic frame with blood, and a time stamp in its corner as recorders put it."""
    picture = np.ascontiguousarray(draw(seed=12, bleeding=True, size=2 * SIDE)[0])
    return cv2.putText(picture, "12:07", (3, 16), cv2.FONT_HERSHEY_PLAIN, 1, (230, 230, 230))


def deep() -> np.ndarray:
    """The frame's luma in 12 of 16 bits, faint: values from 1000 to 1600."""
    grey = cv2.cvtColor(draw(seed=12, bleeding=True, size=2 * SIDE)[0], cv2.COLOR_RGB2GRAY)
    stored = (1000 + grey.astype(np.float32) / 255 * 600).astype(np.uint16)
    stored[:12, :12] = 4095  # a marker, brighter than all tissue
    return np.repeat(stored[:, :, None], 3, axis=2)


def film() -> np.ndarray:
    """A drawn mammogram: a half disc of soft texture on fog, with a label."""
    rng = np.random.default_rng(0)
    height, width = 2 * SIDE, 2 * SIDE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    edge = 1 - np.hypot((y - height / 2) / 140, x / 190)
    texture = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), 7) * 250
    picture = np.where(edge > 0, 70 + 150 * np.clip(edge, 0, 1) ** 0.5 + texture, 14)
    picture[24:60, 240:292] = 245
    picture = cv2.GaussianBlur(np.clip(picture, 0, 255).astype(np.float32), (0, 0), 1.2)
    return np.repeat(picture.astype(np.uint8)[:, :, None], 3, axis=2)


def view(image: np.ndarray, intensity: str = "dtype", field_of_view: str = "none", colour: str = "rgb") -> np.ndarray:
    """The image through a rule, (SIDE, SIDE, 3) uint8."""
    seen = Preprocessing((SIDE, SIDE), intensity, field_of_view, colour).prepare(image)
    return np.rint(seen * 255).astype(np.uint8)


def dimmed(image: np.ndarray) -> np.ndarray:
    """The same scene with half the light."""
    return (image.astype(np.float32) * 0.5).astype(np.uint8)


def panels() -> dict[str, list[np.ndarray]]:
    """Rule to its panels, left to right as docs/imaging.md describes them."""
    colour, grey, mammogram = frame(), deep(), film()
    return {
        "dtype": [view(colour), view(grey)],
        "minmax": [view(grey), view(grey, "minmax")],
        "percentile": [view(grey), view(grey, "percentile:1,99")],
        "window": [view(grey), view(grey, "window:1250,500")],
        "equalise": [view(grey), view(grey, "equalise")],
        "chroma": [view(colour), view(dimmed(colour)), view(colour, "chroma"), view(dimmed(colour), "chroma")],
        "haemoglobin": [
            view(colour),
            view(dimmed(colour)),
            view(colour, "haemoglobin"),
            view(dimmed(colour), "haemoglobin"),
        ],
        "contrast": [view(colour), view(dimmed(colour)), view(colour, "contrast"), view(dimmed(colour), "contrast")],
        "grey": [view(colour), view(colour, colour="grey")],
        "crop": [view(colour), view(colour, field_of_view="crop:0.7")],
        "circle": [view(colour), view(colour, field_of_view="circle")],
        "breast": [view(mammogram), view(mammogram, field_of_view="breast")],
    }


def main(folder: Path) -> None:
    """Write one PNG a rule into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    gap = np.full((SIDE, 6, 3), 255, np.uint8)
    for name, images in panels().items():
        strip = np.hstack([part for image in images for part in (image, gap)][:-1])
        _, data = cv2.imencode(".png", strip[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
        if data.size > LARGEST:  # noise does not compress: fewer colours do
            _, data = cv2.imencode(".png", (strip[:, :, ::-1] // 8 * 8 + 4), [cv2.IMWRITE_PNG_COMPRESSION, 9])
        if data.size > LARGEST:
            raise SystemExit(f"{name}.png takes {data.size} bytes, over the limit of {LARGEST}. Draw it smaller.")
        (folder / f"{name}.png").write_bytes(data.tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "imaging")
