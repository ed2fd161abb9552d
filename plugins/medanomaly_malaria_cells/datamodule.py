"""``MalariaCells``: single red cells, parasitised or not, split by patient."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medanomaly.data import MedicalDataModule, read_csv
from medanomaly.data.find_files import directory, images
from medanomaly.data.splits import deal_groups
from medanomaly_malaria_cells.file_names import patient_of


class MalariaCells(MedicalDataModule):
    """Red blood cells cut out of Giemsa-stained thin smears (NLM; Rajaraman et al., PeerJ 2018).

    Two layouts are known: a ``split.csv`` is used where there is one; else the publisher's folders ``Parasitized`` and
    ``Uninfected``, also inside ``cell_images``, are dealt by patient. Labels of that layout are ``normal`` and
    ``parasitized``.

    Nearly every patient has cells of both classes, so a patient's infected cells can be in ``train``; one-class
    training leaves them out.

    Args:
        fractions: For the publisher's layout: shares of train, val and test among patients.
        root, **kwargs: As for :class:`~medanomaly.data.datamodule.MedicalDataModule`.
    """

    folder = "malaria_cells"
    expects = (
        "either split.csv (path,label,group,split) and the images it names, or the folders Parasitized and Uninfected "
        "with the publisher's file names. Get cell_images.zip from the malaria page of the National Library of "
        "Medicine (https://lhncbc.nlm.nih.gov/LHC-downloads/dataset.html) and unpack it there."
    )

    def __init__(
        self,
        root: str | Path | None = None,
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        **kwargs,
    ) -> None:
        super().__init__(root=root, **kwargs)
        self.fractions = fractions

    def samples(self, root: Path) -> pd.DataFrame:
        """Read ``split.csv``, or list the two folders and deal their patients."""
        if (root / "split.csv").is_file():
            table = read_csv(root, "split.csv", self.normal)
            return table.assign(patient=table["group"])
        healthy, infected = (directory(root, (name, f"cell_images/{name}")) for name in ("Uninfected", "Parasitized"))
        if healthy is None or infected is None:
            raise self.missing("has no file 'split.csv', nor the folders 'Parasitized' and 'Uninfected'")
        rows = [
            (str(path), label, patient_of(path))
            for folder, label in ((healthy, "normal"), (infected, "parasitized"))
            for path in images(folder)
        ]
        table = pd.DataFrame(rows, columns=["image_path", "label", "group"])
        return deal_groups(table.assign(patient=table["group"]), self.fractions, self.hparams["seed"])
