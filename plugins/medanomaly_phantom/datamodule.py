"""``Phantom``: drawn frames for the demonstration, the tests and every picture in the documentation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from medanomaly.data import MedicalDataModule
from medanomaly_phantom.drawing import draw

#: Frame seeds of train, val and test start here, a million apart, so that no frame is in two of them.
_FIRST_SEED = {"train": 0, "val": 1_000_000, "test": 2_000_000}


class Phantom(MedicalDataModule):
    """Capsule-endoscopy-like frames, normal and bleeding, drawn on first use into ``root`` as PNG with exact masks.

    Args:
        train: Normal frames for training.
        val: Normal frames for validation, and as many bleeding ones.
        test: Normal frames for the test, and as many bleeding ones.
        frame_size: Height and width in pixels of the files.
        train_bleeding: Bleeding frames for training, used with ``training: labelled`` or a ``contamination``.
        root, **kwargs: As for :class:`~medanomaly.data.datamodule.MedicalDataModule`. ``seed`` draws another set.

    Raises:
        ValueError: for an option out of range.
    """

    folder = "phantom"
    expects = "nothing: the frames are drawn there."
    independent = True

    def __init__(
        self,
        root: str | Path | None = None,
        train: int = 400,
        val: int = 100,
        test: int = 150,
        frame_size: int = 96,
        train_bleeding: int = 0,
        **kwargs,
    ) -> None:
        # Drawn frames never go beside real data, so the default does not look at MEDANOMALY_DATA.
        super().__init__(root=root or Path("datasets") / self.folder, **kwargs)
        if frame_size < 1 or min(train, val, test, train_bleeding) < 0:
            raise ValueError(
                f"need frame_size >= 1 and train, val, test, train_bleeding >= 0; got frame_size={frame_size}, "
                f"train={train}, val={val}, test={test}, train_bleeding={train_bleeding}"
            )
        self.number = {"train": (train, train_bleeding), "val": (val, val), "test": (test, test)}
        self.frame_size = frame_size

    def prepare(self, root: Path) -> None:
        """Make the folder that the frames are drawn into."""
        root.mkdir(parents=True, exist_ok=True)

    def samples(self, root: Path) -> pd.DataFrame:
        """Draw the frames that are not there yet and list them; each frame is its own group."""
        seed = int(self.hparams["seed"])
        folder = root / f"seed{seed}-{self.frame_size}px"
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for split, numbers in self.number.items():
            for bleeding, number in zip((False, True), numbers, strict=True):
                for index in range(number):
                    # Bleeding frames get seeds of their own: no normal twin of a test image is in the set.
                    frame = seed * 10_000_000 + _FIRST_SEED[split] + index + 500_000 * bleeding
                    label = "bleeding" if bleeding else "normal"
                    path = folder / f"{split}-{label}-{index:04d}.png"
                    mask = path.with_name(path.stem + "-mask.png") if bleeding else None
                    if not path.is_file():
                        self._write(frame, bleeding, path, mask)
                    rows.append((str(path), label, split, path.stem, str(mask or "")))
        return pd.DataFrame(rows, columns=["image_path", "label", "split", "group", "mask_path"])

    def _write(self, seed: int, bleeding: bool, path: Path, mask_path: Path | None) -> None:
        image, mask = draw(seed, bleeding, self.frame_size)
        if mask_path is not None:
            _save(mask_path, mask.astype(np.uint8) * 255)
        _save(path, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))  # last: a frame that is there has its mask


def _save(path: Path, image: np.ndarray) -> None:
    ok, data = cv2.imencode(".png", image)
    if not ok:
        raise OSError(f"{path}: cannot be encoded")
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)  # of a process that was killed, or a link, which would be followed
    with part.open("xb") as file:
        file.write(data.tobytes())
    part.replace(path)
