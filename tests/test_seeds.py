"""One seed: explicit options win over ``--seed`` over 0, and model, data and order follow it."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from medanomaly import seeds
from medanomaly.cli import main
from medanomaly.options import OptionError
from medanomaly.training.command_line import CommandLine, with_addresses
from tests.test_registry import install, site  # noqa: F401 (a fixture)

SEEDLESS = '''
    """A plugin whose author never thought of a seed."""
    import torch
    from anomalib.data import InferenceBatch
    from anomalib.models import AnomalibModule
    from torch import nn

    from medanomaly.models.module import MedicalModel, pixels


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, image):
            error = (self.layer(image) - image).square().mean(1, keepdim=True)
            return error if self.training else InferenceBatch(pred_score=error.mean((1, 2, 3)), anomaly_map=error)


    class Seedless(MedicalModel, AnomalibModule):
        def __init__(self):
            super().__init__()
            self.model = Net()

        def training_step(self, batch, *args, **kwargs):
            image = pixels(batch)
            return self.model(image + 0.1 * torch.randn_like(image)).mean()

        def configure_optimizers(self):
            return torch.optim.Adam(self.model.parameters(), lr=0.01)
'''


def small(work: Path, *more: str, model: str = "Autoencoder") -> list[str]:
    sizes = ["--model.stages", "2", "--model.width", "4"] if model == "Autoencoder" else []
    return [
        "train", "--model", model, *sizes,
        "--data", "Phantom", "--data.init_args.root", str(work / "frames"), "--data.init_args.image_size", "16",
        "--data.init_args.train", "12", "--data.init_args.val", "4", "--data.init_args.test", "4",
        "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false", "--trainer.logger", "false",
        "--default_root_dir", str(work / "results"), *more,
    ]  # fmt: skip


def trained(work: Path, *more: str, model: str = "Autoencoder") -> Path:
    assert main(small(work, *more, model=model)) == 0
    return (work / "results" / model / "Phantom" / "latest").resolve()


def made(work: Path, *more: str) -> CommandLine:
    with seeds.own_run():
        return CommandLine(with_addresses(small(work, *more)), run=False)


def same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return torch.allclose(first.float(), second.float(), rtol=0, atol=0, equal_nan=True)


def evidence(folder: Path) -> dict:
    return json.loads((folder / "evidence.json").read_text())["run"]


def test_two_seeds_give_two_results_and_one_the_same_to_the_last_digit(tmp_path):
    one, two = trained(tmp_path, "--seed_everything", "1"), trained(tmp_path, "--seed_everything", "2")
    again = trained(tmp_path, "--seed", "1")
    repeated = trained(tmp_path, "--config", str(one / "config.yaml"))
    table = (one / "predictions.csv").read_bytes()
    assert table == (again / "predictions.csv").read_bytes() == (repeated / "predictions.csv").read_bytes()
    scores = [pd.read_csv(folder / "predictions.csv")["raw_score"] for folder in (one, two)]
    assert (scores[0] != scores[1]).all()
    assert [evidence(folder)["seed"] for folder in (one, two)] == [1, 2]
    assert [evidence(folder)["data_options"]["seed"] for folder in (one, two)] == [1, 2]
    assert evidence(one)["machine"] == {
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    weights = [torch.load(folder / "weights/tested.ckpt")["state_dict"] for folder in (one, again)]
    assert all(same(value, weights[1][key]) for key, value in weights[0].items())


@pytest.mark.parametrize(
    ("options", "model", "data"),
    [
        ([], 0, 0),
        (["--seed", "3"], 3, 3),
        (["--seed=3"], 3, 3),
        (["--seed_everything", "3"], 3, 3),
        (["--seed_everything", "false"], 0, 0),
        (["--seed", "3", "--model.init_args.seed", "1"], 1, 3),
        (["--seed", "3", "--model.init_args.seed", "0"], 0, 3),  # its default, and yet explicit
        (["--seed", "3", "--data.seed", "0"], 3, 0),
        (["--model.init_args.seed", "1"], 1, 0),
    ],
)
def test_explicit_options_win_over_the_runs_seed_over_zero(tmp_path, options, model, data):
    line = made(tmp_path, *options)
    assert (line.model.hparams["seed"], line.datamodule.hparams["seed"]) == (model, data)
    assert line.datamodule.usage.seed == data
    assert line.options["seed_everything"] == (3 if "3" in " ".join(options) else 0)


def test_a_seed_in_a_file_is_explicit(tmp_path, caplog):
    config = tmp_path / "own.yaml"
    config.write_text("model: {class_path: medanomaly.models.Autoencoder, init_args: {seed: 0}}\nseed: 5\n")
    line = made(tmp_path, "--config", str(config))
    assert (line.model.hparams["seed"], line.datamodule.hparams["seed"]) == (0, 5)
    assert "model.init_args.seed 0 stands" in caplog.text


def test_a_random_seed_is_printed_and_repeats(tmp_path, capsys):
    line = made(tmp_path, "--seed_everything", "true")
    seed = line.model.hparams["seed"]
    assert f"--seed {seed}" in capsys.readouterr().out
    assert line.datamodule.hparams["seed"] == line.options["seed_everything"] == seed
    assert made(tmp_path, "--seed", "true").model.hparams["seed"] != seed
    again = made(tmp_path, "--seed", str(seed))
    assert all(same(value, again.model.state_dict()[key]) for key, value in line.model.state_dict().items())


def test_splits_are_dealt_by_the_runs_seed(tmp_path):
    for label, number in (("normal", 30), ("abnormal", 10)):
        (tmp_path / label).mkdir()
        for i in range(number):
            (tmp_path / label / f"{i}.png").write_bytes(b"")
    data = ["train", "--model", "Autoencoder", "--data", "Folder", "--data.init_args.root", str(tmp_path)]

    def split(*more: str) -> list[str]:
        with seeds.own_run():
            return CommandLine(with_addresses([*data, *more]), run=False).datamodule.listed["split"].tolist()

    assert split("--seed", "1") == split("--data.init_args.seed", "1") == split("--seed", "9", "--data.seed", "1")
    assert split("--seed", "1") != split("--seed", "2")
    assert split() == split("--seed", "0")


def test_a_plugin_without_a_seed_gets_the_runs(site, tmp_path):  # noqa: F811
    install(
        site, "seedless-model", "seedless_model", SEEDLESS, "medanomaly.models", "Seedless = seedless_model:Seedless"
    )
    runs = [trained(tmp_path, *options, model="Seedless") for options in (["--seed", "4"], ["--seed", "4"], [])]
    assert [evidence(run)["seed"] for run in runs] == [4, 4, 0]
    tables = [(run / "predictions.csv").read_bytes() for run in runs]
    assert tables[0] == tables[1]
    assert tables[0] != tables[2]


def test_a_test_records_the_seed_that_the_weights_come_from(tmp_path, capsys):
    """Also where the command that tests names none; a split dealt by another seed is warned of."""
    folder = trained(tmp_path, "--seed", "6")
    path = str(folder / "weights" / "lightning" / "model.ckpt")
    options = small(tmp_path)[1:]
    capsys.readouterr()
    assert main(["test", *options, "--ckpt_path", path]) == 0
    tested = (folder.parent / "latest").resolve()
    assert tested != folder
    assert evidence(tested)["seed"] == 6
    assert [evidence(of)["data_options"]["seed"] for of in (folder, tested)] == [6, 0]
    said = " ".join(capsys.readouterr().out.split())
    assert "dealt by the seed 6, these are by 0" in said
    assert "Add --data.init_args.seed 6" in said
    assert main(["test", *options, "--ckpt_path", path, "--seed", "6"]) == 0
    assert "were dealt by the seed" not in " ".join(capsys.readouterr().out.split())


def test_later_processes_take_the_random_seed_of_the_first(monkeypatch):
    monkeypatch.setenv(seeds.NOTE, "77")
    assert seeds.drawn(later=True) == 77
    assert seeds.drawn(later=False) != seeds.drawn(later=False)
    monkeypatch.delenv(seeds.NOTE)
    with pytest.raises(OptionError, match="Name a number"):
        seeds.drawn(later=True)


def test_a_plugin_without_a_seed_trains_in_plain_anomalib(site, tmp_path):  # noqa: F811
    from anomalib.engine import Engine

    from medanomaly.data import Phantom
    from medanomaly.registry import get

    install(
        site, "seedless-model", "seedless_model", SEEDLESS, "medanomaly.models", "Seedless = seedless_model:Seedless"
    )
    before = os.environ.get(seeds.NOTE)
    module = Phantom(root=tmp_path, train=4, val=2, test=2, image_size=16)
    engine = Engine(max_epochs=1, default_root_dir=tmp_path, enable_progress_bar=False, accelerator="cpu")
    engine.train(get("model", "Seedless")(), datamodule=module)
    assert evidence(next(tmp_path.rglob("evidence.json")).parent)["seed"] == int(before or 0)
    assert os.environ.get(seeds.NOTE) == before  # the next model in this process does not take it for its own


def test_plain_anomalib_declares_its_seed_and_never_reads_it(tmp_path):
    """As the documentation says: there the seed is ``model.init_args.seed``, 0 by default."""
    from anomalib.cli.cli import AnomalibCLI

    from medanomaly.registry import register

    register()
    args = with_addresses(small(tmp_path, "--seed_everything", "5"))
    line = AnomalibCLI(args, run=False)
    assert line.model.hparams["seed"] == line.datamodule.hparams["seed"] == 0


def test_a_benchmark_over_seeds_gives_several_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {
        "class_path": "medanomaly.data.Phantom",
        "init_args": {"root": str(tmp_path / "frames"), "train": 8, "val": 4, "test": 6, "image_size": 16, "seed": 0},
    }
    model = {"class_path": "medanomaly.models.Autoencoder", "init_args": {"stages": 2, "width": 4}}
    jobs = {"seed": {"grid": [1, 2, 1]}, "model": model, "data": data, "max_epochs": 1}
    (tmp_path / "b.yaml").write_text(yaml.safe_dump({"accelerator": "cpu", "benchmark": jobs}))
    seen: list = []
    from medanomaly.training.benchmark import SeededGenerator

    job = SeededGenerator.job
    monkeypatch.setattr(SeededGenerator, "job", lambda self, options: seen.append(job(self, options)) or seen[-1])
    assert main(["benchmark", "--config", "b.yaml"]) == 0
    assert [each.model.hparams["seed"] for each in seen[3:]] == [1, 2, 1]
    assert [each.datamodule.hparams["seed"] for each in seen[3:]] == [0, 0, 0]  # explicit
    table = pd.read_csv(next(tmp_path.glob("runs/benchmark/*/results.csv")))
    assert table["seed"].tolist() == [1, 2, 1]
    figures = table[[name for name in table if "AUROC" in name or "AUPRO" in name]]
    assert figures.iloc[0].equals(figures.iloc[2])
    assert not figures.iloc[0].equals(figures.iloc[1])
    # Each run stays, with all that a test leaves.
    assert table["folder"].nunique() == 3
    for row in table.itertuples():
        record = json.loads((Path(row.folder) / "evidence.json").read_text())
        assert record["run"]["epochs"] == 1
        assert record["image"]["auroc"]["value"] == pytest.approx(row.image_AUROC)
        assert (Path(row.folder) / "weights" / "tested.ckpt").is_file()


def test_data_check_looks_at_the_split_of_the_trainings_seed(tmp_path):
    from medanomaly.training.load_data import load_data

    config = tmp_path / "c.yaml"
    config.write_text(f"data: {{class_path: medanomaly.data.Phantom, init_args: {{root: {tmp_path}, image_size: 16}}}}")
    assert load_data(config).hparams["seed"] == 0
    assert load_data(config, seed=7).hparams["seed"] == 7
    config.write_text(config.read_text() + "\nseed: 8\n")
    assert load_data(config).hparams["seed"] == 8
    assert load_data(config, seed=7).hparams["seed"] == 7
