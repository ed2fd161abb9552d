"""``Mammography``: mammograms split by patient, with masks where the publisher marks the lesion."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from medanomaly.data import MedicalDataModule, read_csv, split_by_group
from medanomaly.imaging import ImageError, decode
from medanomaly_mammography.mias import about, circle_mask, has_mias, read_films, read_mias
from medanomaly_mammography.rsna import read_rsna

LAYOUTS = ("auto", "csv", "rsna", "mias")
_MASKS = "circle_masks"


class Mammography(MedicalDataModule):
    """Mammograms, split by patient.

    Layouts, looked for in this order where ``layout`` is ``auto``:

    - ``csv``: a ``split.csv`` with ``path,label,group,split,mask``.
    - ``rsna``: the RSNA screening set of 2022: ``train.csv`` and ``train_images/<patient>/<image>.dcm``. Labels are
      ``normal`` and ``cancer``, given for the breast, so each of its views has it.
    - ``mias``: mini-MIAS (Suckling et al. 1994): ``labels.csv`` or ``Info.txt``, and the films ``mdb001`` to ``mdb322``
      as PGM or PNG anywhere below. Labels are ``normal`` and the kind of abnormality (``circ``, ``calc``, …); the
      group is the woman. Where ``circle_masks`` is missing, the circles are drawn into it.

    Args:
        layout: ``auto``, or one of the above.
        views: Views of the RSNA set to keep, such as ``["CC", "MLO"]``; by default all.
        fractions: Shares of train, val and test among patients where there is no ``split.csv``. Patients with cancer
            go to val and test alone.
        field_of_view: By default ``breast`` for the RSNA set, whose films show labels and black borders, and ``none``
            for mini-MIAS, whose published figures are of whole films.
        root, **kwargs: As for :class:`~medanomaly.data.datamodule.MedicalDataModule`.
    """

    folder = "mias"
    expects = (
        "one of: split.csv (path,label,group,split,mask) and its images; train.csv and train_images/ of the RSNA "
        "screening set (https://www.kaggle.com/competitions/rsna-breast-cancer-detection/data); or the films mdb*.pgm "
        "of mini-MIAS with Info.txt or labels.csv (https://www.repository.cam.ac.uk/handle/1810/250394)."
    )
    mask_note = (
        "The masks of mini-MIAS are circles drawn generously around the lesion; four abnormal films have none, because "
        "the publisher gives no centre for them."
    )
    masks_enclose = True

    def __init__(
        self,
        root: str | Path | None = None,
        layout: str = "auto",
        views: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        field_of_view: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(root=root, field_of_view=field_of_view or "none", **kwargs)
        if layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, not '{layout}'")
        self.layout = layout
        self.views = views or []
        self.fractions = fractions
        if field_of_view is None:  # the card must say what was used, so it is settled here and not at first reading
            self.reading = replace(self.reading, field_of_view="breast" if self._found(self.root) == "rsna" else "none")
            self.hparams["field_of_view"] = self.reading.field_of_view

    def _found(self, root: Path) -> str | None:
        here = {"csv": (root / "split.csv").is_file(), "rsna": (root / "train.csv").is_file(), "mias": has_mias(root)}
        return next((name for name, there in here.items() if there and self.layout in ("auto", name)), None)

    def samples(self, root: Path) -> pd.DataFrame:
        """List the films of the first layout that fits; deal the patients where no ``split.csv`` says."""
        layout = self._found(root)
        if layout is None:
            raise self.missing(f"holds no mammograms in the layout '{self.layout}'")
        if layout == "csv":
            table = read_csv(root, "split.csv", self.normal)
            names = [Path(path).name for path in table["image_path"]]
            known = all(name.startswith("mdb") for name in names)
            return table.join(pd.DataFrame([about(name) for name in names])) if known else table
        if layout == "rsna":
            table = read_rsna(root, self.normal[0], self.views)
        else:
            table = read_mias(root, self.normal[0], _MASKS)
        return split_by_group(table, self.normal, self.fractions, self.hparams["seed"])

    def prepare(self, root: Path) -> None:
        """Draw the circles of mini-MIAS as masks of the films' size, where there are none yet.

        Raises:
            ImageError: if the folder cannot be written to.
        """
        if not root.is_dir() or self._found(root) != "mias" or (root / _MASKS).is_dir():
            return
        table, films = read_mias(root, self.normal[0], _MASKS), read_films(root)
        drawn: list[tuple[str, np.ndarray]] = []
        for path in table["image_path"]:
            film = films[Path(path).stem]
            if film.circles:
                drawn.append((Path(path).stem, circle_mask(film, decode(path).shape[:2])))
        try:
            # Under another name until all are there: half a folder would pass for films without lesions.
            with tempfile.TemporaryDirectory(dir=root) as work:
                folder = Path(work) / _MASKS
                folder.mkdir()
                for name, mask in drawn:
                    (folder / f"{name}.png").write_bytes(cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes())
                folder.rename(root / _MASKS)
        except OSError as error:
            raise ImageError(
                f"{root / _MASKS}: the circles cannot be drawn there ({error.strerror}). Make {root} writable once, "
                f"or make an empty folder {_MASKS} to go without masks."
            ) from error
