"""``ChestXray``: chest radiographs in the layouts in which they are handed around."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medanomaly.data import MedicalDataModule, read_csv
from medanomaly.data.splits import carve_validation, deal_groups
from medanomaly_chest_xray.folders import kermany_root, read_kermany, read_two_folders, two_folders
from medanomaly_chest_xray.nih import entries, read_nih

LAYOUTS = ("auto", "csv", "nih", "kermany", "folders")


class ChestXray(MedicalDataModule):
    """Chest radiographs, healthy or with chosen findings, split by patient.

    Layouts, looked for in this order where ``layout`` is ``auto``:

    - ``csv``: a ``split.csv`` with ``path,label,group,split``.
    - ``nih``: ChestX-ray14 (Wang et al., CVPR 2017): ``Data_Entry_2017.csv`` and images in any folders below.
      ``normal`` is No Finding; images with none of ``findings`` but another one are left out. The official test list is
      kept where both lists are there, and validation is drawn from the other list by patient.
    - ``kermany``: paediatric films (Kermany et al., Cell 2018): ``train|val|test/NORMAL|PNEUMONIA``. The official test
      is kept; the official val, 16 films, joins train, from which validation is drawn by person.
    - ``folders``: ``nofinding`` (or ``normal``) beside one folder for each of ``findings``, NIH's file names inside.

    Args:
        layout: ``auto``, or one of the above.
        findings: Findings of ChestX-ray14 that count as abnormal; several of one image are joined with ``|``.
        views: View positions of ChestX-ray14 to keep, such as ``["PA"]``; by default all. Films taken lying (``AP``)
            come from sicker patients, so that a mixture lets a model tell the view and not the finding.
        val_share: Share of the published training patients that becomes ``val``.
        fractions: Shares of train, val and test among patients where nothing is published about the split.
        intensity: ``minmax`` by default: films differ in exposure and in stored range.
        root, **kwargs: As for :class:`~medanomaly.data.datamodule.MedicalDataModule`.
    """

    folder = "cxr_pneumonia"
    expects = (
        "one of: split.csv (path,label,group,split) and its images; Data_Entry_2017.csv of NIH ChestX-ray14 with the "
        "unpacked images_001 to images_012 and, for the official test, train_val_list.txt and test_list.txt "
        "(https://nihcc.app.box.com/v/ChestXray-NIHCC); Kermany's train/ and test/ with NORMAL/ and PNEUMONIA/ "
        "(https://data.mendeley.com/datasets/rscbjbr9sj); or the folders nofinding/ and effusion/."
    )

    def __init__(
        self,
        root: str | Path | None = None,
        layout: str = "auto",
        findings: list[str] | str = "Effusion",
        views: list[str] | None = None,
        val_share: float = 0.15,
        fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
        intensity: str = "minmax",
        **kwargs,
    ) -> None:
        super().__init__(root=root, intensity=intensity, **kwargs)
        if layout not in LAYOUTS:
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, not '{layout}'")
        self.layout = layout
        self.findings = [findings] if isinstance(findings, str) else list(findings)
        self.views = views or []
        self.val_share = val_share
        self.fractions = fractions

    def samples(self, root: Path) -> pd.DataFrame:
        """List the films of the first layout that fits, and deal what is not published."""
        table = self._found(root)
        if table is None:
            raise self.missing(f"holds no films in the layout '{self.layout}'")
        if "split" not in table.columns:
            return deal_groups(table, self.fractions, self.hparams["seed"])
        if "val" not in set(table["split"]):
            return carve_validation(table, self.normal, self.val_share, self.hparams["seed"])
        return table

    def _found(self, root: Path) -> pd.DataFrame | None:
        def wanted(layout: str) -> bool:
            return self.layout in ("auto", layout)

        if wanted("csv") and (root / "split.csv").is_file():
            return read_csv(root, "split.csv", self.normal)
        csv = entries(root)
        if wanted("nih") and csv is not None:
            return read_nih(root, csv, self.findings, self.normal[0], self.views)
        top = kermany_root(root)
        if wanted("kermany") and top is not None:
            return read_kermany(top, self.normal[0])
        folders = two_folders(root, self.findings)
        if wanted("folders") and folders is not None:
            return read_two_folders(*folders, self.normal[0])
        return None
