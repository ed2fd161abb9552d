"""The recipe for another anomalib model runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from anomalib.cli.cli import AnomalibCLI
from anomalib.data import Folder
from sklearn.metrics import roc_auc_score
from tests.small_runs import Redness, evidence_of, phantom, predictions_of, train, undrawn

from medanomaly.decision import OperatingPoint
from medanomaly.runs.evidence_writer import EvidenceWriter
from medanomaly.training.command_line import run as command

DOCS = Path(__file__).parents[2] / "docs" / "evidence.md"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    undrawn(monkeypatch)


def recipe() -> str:
    (found,) = re.findall(r"```yaml\n# padim_phantom\.yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    return found


def small(folder: Path, text: str) -> list[str]:
    """The recipe as a file, with fewer frames."""
    (folder / "padim_phantom.yaml").write_text(text)
    fewer = {"train": 12, "val": 10, "test": 8}
    return [
        "train", "--config", str(folder / "padim_phantom.yaml"),
        *(word for name, number in fewer.items() for word in (f"--data.init_args.{name}", str(number))),
        "--data.init_args.image_size", "32", "--trainer.logger", "false", "--trainer.enable_progress_bar", "false",
    ]  # fmt: skip


def as_visualizer(text: str) -> str:
    config = yaml.safe_load(text)
    (callback,) = config["trainer"].pop("callbacks")
    config["model"]["init_args"]["visualizer"] = callback
    return yaml.safe_dump(config)


@pytest.mark.parametrize(("program", "place"), [("medanomaly", "callback"), ("anomalib", "visualizer")])
def test_the_recipe_of_the_docs_runs(program, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = small(tmp_path, recipe() if place == "callback" else as_visualizer(recipe()))
    if program == "medanomaly":
        assert command(arguments) == 0
    else:
        AnomalibCLI(arguments)
    folder = (tmp_path / "results" / "Padim" / "Phantom" / "latest").resolve()
    found, evidence = predictions_of(folder), evidence_of(folder)
    assert evidence["failed"] == []
    assert len(found) == 16
    expected = roc_auc_score(found["abnormal"], found["raw_score"])
    assert evidence["image"]["auroc"]["value"] == pytest.approx(expected, abs=1e-12)
    assert evidence["pixel"]["auroc"]["value"] > 0.5
    threshold = evidence["operating_point"]["threshold"]
    assert ((found["raw_score"] > threshold) == found["decision"]).all()
    for name in ("validation.csv", "split.csv", "run.json", "weights/tested.ckpt", "report.html"):
        assert (folder / name).is_file(), name


@pytest.mark.parametrize(("place", "ours"), [("callback", True), ("visualizer", False)])
def test_a_folder_of_anomalib_s_with_masks_beside_its_default_evaluator(place, ours, tmp_path):
    """Its evaluator logs pixel_AUROC as well; what the trainer prints is one of them, and the test goes on."""
    drawn = phantom(tmp_path)
    drawn.setup("fit")
    frames = tmp_path / "frames"
    table = drawn.table
    for row in table.to_dict("records"):
        kind = "normal" if row["label"] == "normal" else "lesion"
        place_of = tmp_path / "layout" / kind / Path(row["image_path"]).name
        place_of.parent.mkdir(parents=True, exist_ok=True)
        place_of.write_bytes(Path(row["image_path"]).read_bytes())
        if kind == "lesion":
            mask = tmp_path / "layout" / "masks" / place_of.name
            mask.parent.mkdir(exist_ok=True)
            mask.write_bytes(Path(row["mask_path"]).read_bytes())
    assert frames.exists()
    root = tmp_path / "layout"
    data = Folder(
        name="drawn", root=root, normal_dir="normal", abnormal_dir="lesion", mask_dir="masks", num_workers=0, seed=0,
        train_batch_size=8, eval_batch_size=8,
    )  # fmt: skip
    writer = EvidenceWriter()
    components = {"post_processor": OperatingPoint()} if ours else {}
    if place == "visualizer":
        components["visualizer"] = writer
    model = Redness(**components)
    folder = train(model, data, tmp_path / "out", callbacks=[] if place == "visualizer" else [writer])
    evidence, found = evidence_of(folder), predictions_of(folder)
    assert evidence["failed"] == []
    assert np.isfinite(found["raw_score"]).all()
    expected = roc_auc_score(found["abnormal"], found["raw_score"])
    assert evidence["image"]["auroc"]["value"] == pytest.approx(expected, abs=1e-12)
    assert evidence["pixel"]["auroc"]["value"] is not None
    assert evidence["data"]["reading"] is None
