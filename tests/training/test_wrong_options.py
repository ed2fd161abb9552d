"""A wrong option of a training command is one line that names it, its value, what is allowed and the nearest name."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest
import torch

from medanomaly.cli import main

BASE = ["--model", "Autoencoder", "--data", "Phantom"]


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder; returns its status and the one line it prints on standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str]:
        status = main([*args])
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1, err
        assert "Traceback" not in err
        assert "\x1b" not in err
        assert not (tmp_path / "results").exists()  # nothing was begun
        return status, err

    return run


#: Options after ``train --model Autoencoder --data Phantom``, and what the line must say.
CASES = {
    # Refused by a constructor of ours.
    "intensity": (
        ["--data.init_args.intensity", "minmx"],
        ["--data.init_args.intensity minmx", "percentile", "minmax?"],
    ),
    "colour": (["--data.init_args.colour=gray"], ["--data.init_args.colour gray", "rgb, grey", "Did you mean grey?"]),
    "field of view": (["--data.field_of_view", "crop:-1"], ["--data.field_of_view crop:-1", "crop:N with N > 0"]),
    "on error": (["--data.init_args.on_error", "skp"], ["--data.init_args.on_error skp", "raise, skip", "mean skip?"]),
    "training": (["--data.init_args.training", "labeled"], ["training labeled", "normal, labelled", "mean labelled?"]),
    "contamination": (["--data.init_args.contamination", "0.7"], ["contamination 0.7", "0 to 0.5"]),
    "synthetic anomalies": (
        ["--data.init_args.synthetic_anomalies", "cutpast"],
        ["synthetic_anomalies cutpast", "blur", "mean cutpaste?"],
    ),
    "image size": (["--data.init_args.image_size", "0"], ["--data.init_args.image_size 0", "positive"]),
    "score": (["--model.init_args.score", "tops"], ["--model.init_args.score tops", "mean, top", "Did you mean top?"]),
    "several names": (["--model.width", "0", "--model.stages", "2"], ["--model.width 0", "stages, width, latent"]),
    "drawn frames": (["--data.init_args.frame_size", "0"], ["--data.init_args.frame_size 0", "frame_size >= 1"]),
    "needs another": (
        ["--model.init_args.code", "dense"],
        ["--model.init_args.code dense", "model.init_args.image_size"],
    ),
    "rule": (
        [
            "--model.init_args.post_processor",
            "medanomaly.decision.OperatingPoint",
            "--model.init_args.post_processor.init_args.rule",
            "quantil",
        ],
        ["--model.init_args.post_processor.init_args.rule quantil", "youden", "Did you mean quantile?"],
    ),
    "callback": (
        ["--trainer.callbacks+=medanomaly.models.checkpoint_selection.AUCp", "--trainer.callbacks.images", "train"],
        ["--trainer.callbacks.images train", "val or test"],
    ),
    # Bounded by nobody else.
    "batch size": (["--data.init_args.train_batch_size", "0"], ["--data.init_args.train_batch_size 0", "at least 1"]),
    "workers": (["--data.init_args.num_workers", "-2"], ["--data.init_args.num_workers -2", "at least 0"]),
    "learning rate": (["--model.init_args.learning_rate", "-0.1"], ["learning_rate -0.1", "at least 0"]),
    "no epochs": (["--trainer.max_epochs", "0"], ["--trainer.max_epochs 0", "at least 1"]),
    "epochs unseen": (
        ["--trainer.check_val_every_n_epoch", "99"],
        ["check_val_every_n_epoch 99", "at most max_epochs, 30"],
    ),
    "division": (["--trainer.accumulate_grad_batches", "0"], ["--trainer.accumulate_grad_batches 0", "at least 1"]),
    "no validation": (["--trainer.limit_val_batches", "0"], ["--trainer.limit_val_batches 0", "operating point"]),
    "processes": (
        ["--trainer.devices", "5000", "--trainer.accelerator", "cpu"],
        ["--trainer.devices 5000", "from 1 to"],
    ),
    "negative seed": (["--seed", "-1"], ["--seed -1", "0 to 4294967295"]),
    "seed too large": (
        ["--model.init_args.seed", "4294967296"],
        ["--model.init_args.seed 4294967296", "0 to 4294967295"],
    ),
    "two seeds": (["--seed", "1", "--seed_everything", "2"], ["--seed 1", "--seed_everything 2"]),
    # Of another type.
    "word for a number": (
        ["--data.init_args.image_size", "big"],
        ["--data.init_args.image_size big", "a whole number"],
    ),
    "trainer's type": (["--trainer.max_epochs", "many"], ["--trainer.max_epochs many", "a whole number or null"]),
    "one of a list": (
        ["--trainer.precision", "bf16-mixd"],
        ["--trainer.precision bf16-mixd", "Did you mean bf16-mixed?"],
    ),
    "no value": (["--model.init_args.width"], ["--model.init_args.width", "needs a value"]),
    # Misspelt.
    "trainer's name": (
        ["--trainer.max_epoch", "3"],
        ["--trainer.max_epoch", "3", "Did you mean --trainer.max_epochs?"],
    ),
    "model's name": (["--model.init_args.wdith", "3"], ["--model.init_args.wdith", "mean width?", "stages"]),
    "short form": (["--data.image_szie", "3"], ["--data.image_szie", "mean image_size?", "field_of_view"]),
    "command's name": (["--default_root_dirs", "x"], ["--default_root_dirs", "Did you mean --default_root_dir?"]),
    "first word": (["--modle.init_args.width", "3"], ["Did you mean --model.init_args.width?"]),
    "optimiser": (["--optimizer", "Adm"], ["--optimizer Adm", "Did you mean Adam?"]),
    "class of a callback": (
        ["--trainer.callbacks+=medanomaly.models.checkpoint_selection.AUCpp"],
        ["AUCpp", "Did you mean medanomaly.models.checkpoint_selection.AUCp?"],
    ),
    # Places.
    "config": (["--config", "missing.yaml"], ["--config missing.yaml", "No such file"]),
    "folder": (["--default_root_dir", "/dev/null/x"], ["--default_root_dir /dev/null/x", "/dev/null is a file"]),
    "checkpoint": (["--ckpt_path", "none.ckpt"], ["none.ckpt", "no such checkpoint"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_option_is_one_line(told, name):
    options, expected = CASES[name]
    status, line = told("train", *BASE, *options)
    assert status == 2
    for text in expected:
        assert text in line


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--model", "Autoencodr", ["VariationalAutoencoder", "Did you mean Autoencoder?"]),
        ("--model", "medanomaly.models.Clasifier", ["Did you mean medanomaly.models.Classifier?"]),
        ("--model", "anomalib.models.Padimm", ["Did you mean anomalib.models.Padim?"]),
        ("--model", "Phantom", ["no model plugin"]),
        ("--model", "medanomaly.data.Phantom", ["AnomalibModule"]),
        ("--model", "not_there.at_all.Model", ["not_there"]),
        ("--data", "Folderr", ["WirelessCapsule", "Did you mean Folder?"]),
        ("--data", "medanomaly.models.Autoencoder", ["AnomalibDataModule"]),
    ],
)
def test_a_misspelt_class_has_a_nearest_name(told, option, value, expected):
    rest = BASE[2:] if option == "--model" else BASE[:2]
    status, line = told("train", option, value, *rest)
    assert status == 2
    for text in [f"{option} {value}", *expected]:
        assert text in line


YAMLS = {
    "model's option": ("model: {class_path: medanomaly.models.Autoencoder, init_args: {latnt: 3}}", "mean latent?"),
    "trainer's option": ("trainer: {max_epoch: 3}", "mean trainer.max_epochs?"),
    "class": ("data: {class_path: medanomaly.data.Phantm}", "mean medanomaly.data.Phantom?"),
    "type": ("data: {class_path: medanomaly.data.Phantom, init_args: {val: few}}", "data.init_args.val few"),
    "value": ("model: {class_path: medanomaly.models.Autoencoder, init_args: {norm: batch}}", "norm batch"),
    "callback's option": (
        "trainer: {callbacks: [{class_path: medanomaly.models.checkpoint_selection.AUCp, init_args: {imges: val}}]}",
        "mean images?",
    ),
    "section": ("modle: {class_path: medanomaly.models.Autoencoder}", "mean model.class_path?"),
    "no YAML": ("model: {class_path: [", "line 1"),
    "no mapping": ("just text", "holds no options"),
    "no text": (b"\xff\xfe\x00", "is not UTF-8"),
}


@pytest.mark.parametrize("name", YAMLS)
def test_what_is_wrong_in_a_file_is_named_with_the_file(told, tmp_path, name):
    text, expected = YAMLS[name]
    (tmp_path / "wrong.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    status, line = told("train", *BASE, "--config", "wrong.yaml")
    assert status == 2
    assert expected in line
    assert "wrong.yaml" in line


def test_a_regular_expression_that_is_none(told):
    status, line = told("train", *BASE[:2], "--data", "Folder", "--data.init_args.group_pattern", "p([0-9")
    assert status == 2
    assert "--data.init_args.group_pattern 'p([0-9'" in line


def test_what_is_missing_is_asked_for(told):
    assert "--model must be given: AdversarialAutoencoder" in told("train", "--data", "Phantom")[1]
    assert "--data must be given: ChestXray" in told("fit", "--model", "Autoencoder")[1]
    for command in ("test", "validate"):
        status, line = told(command, *BASE)
        assert status == 2
        assert "--ckpt_path must be given" in line


def test_an_accelerator_that_is_not_there(told):
    missing = next(name for name in ("cuda", "mps", "tpu") if not _there(name))
    status, line = told("train", *BASE, "--trainer.accelerator", missing)
    assert status == 2
    assert f"--trainer.accelerator {missing}" in line
    assert "allowed here: auto, cpu" in line


def _there(name: str) -> bool:
    from lightning.pytorch.accelerators import AcceleratorRegistry

    return bool(AcceleratorRegistry[name]["accelerator"].is_available())


def test_lightnings_refusal_leaves_latest_and_no_folder(tiny_run, capsys):
    """The trainer is made after the run's folder: nothing of that may be left."""
    root = tiny_run.parents[2]
    before = sorted(path.name for path in tiny_run.parent.iterdir())
    args = ["train", *BASE, "--default_root_dir", str(root), "--trainer.strategy", "dpp"]
    assert main(args) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "--trainer.strategy dpp" in err
    assert "Did you mean ddp?" in err
    assert sorted(path.name for path in tiny_run.parent.iterdir()) == before
    assert (tiny_run.parent / "latest").resolve() == tiny_run


def small(run, *more: str) -> list[str]:
    """The options of the tiny run, from its own configuration."""
    return ["--config", str(run / "config.yaml"), *more]


class Evil:
    def __reduce__(self):
        return (print, ("run!",))


@pytest.mark.parametrize("kind", ["garbage", "torn", "pickle", "objects", "other", "tensors", "folder"])
@pytest.mark.parametrize("command", ["test", "train"])
def test_a_foreign_checkpoint_is_refused_in_a_sentence(told, tiny_run, tmp_path, capsys, kind, command):
    path, whole = tmp_path / "foreign.ckpt", tiny_run / "weights/lightning/model.ckpt"
    options = small(tiny_run)
    if kind == "garbage":
        path.write_bytes(b"not a checkpoint" * 100)
    elif kind == "torn":
        path.write_bytes(whole.read_bytes()[:-500])
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": {}}))
    elif kind == "objects":
        torch.save({"state_dict": {}, "more": Evil()}, path)
    elif kind == "tensors":
        torch.save({"weight": torch.zeros(3)}, path)
    elif kind == "folder":
        path.mkdir()
    else:
        shutil.copy(whole, path)
        options = small(tiny_run, "--model.init_args.width", "4")
    status, line = told(command, *options, "--ckpt_path", str(path))
    assert status == 2
    assert str(path) in line
    assert "run!" not in capsys.readouterr().out


def test_training_does_not_go_on_from_weights_alone_nor_for_fewer_epochs(told, tiny_run):
    status, line = told("train", *small(tiny_run), "--ckpt_path", str(tiny_run / "weights/tested.ckpt"))
    assert status == 2
    assert "holds weights alone" in line
    path = tiny_run / "weights/lightning/model.ckpt"
    status, line = told("train", *small(tiny_run), "--trainer.max_epochs", "2", "--ckpt_path", str(path))
    assert status == 2
    assert "--trainer.max_epochs 2" in line
    assert "has 3 epochs already" in line


def test_a_failure_that_no_option_explains_has_its_traceback_in_a_file(tmp_path, monkeypatch, capsys):
    """A bug deep in training is no wrong option: its trace is kept, and the status is 1."""
    from medanomaly.models.blocks import ConvAutoencoder

    def broken(self, *args):
        raise ValueError("a bug deep inside")

    monkeypatch.setattr(ConvAutoencoder, "forward", broken)
    options = [*BASE, "--model.stages", "2", "--model.width", "4", "--data.init_args.root", str(tmp_path / "frames")]
    numbers = ["--data.train", "4", "--data.val", "2", "--data.test", "2", "--data.image_size", "16"]
    assert main(["train", *options, *numbers, "--default_root_dir", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert "ValueError: a bug deep inside" in err[0]
    text = next((tmp_path / "out").rglob("traceback-*.txt"))
    assert str(text) in err[0]
    assert "in broken" in text.read_text()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--model.code", "dense", "--model.image_size", "32"], "the dense code was built for 32 px"),
        (
            [
                "--trainer.callbacks+=medanomaly.models.checkpoint_selection.AUCp",
                "--trainer.callbacks+=medanomaly.models.checkpoint_selection.NormalsEarlyStopping",
            ],
            "both choose the weights: set restore: false",
        ),
        (["--trainer.max_epochs", "-1", "--trainer.max_steps", "-1", "--model.schedule", "cosine"], "needs an end"),
    ],
)
def test_options_that_do_not_fit_together_are_found_at_the_start_of_training(tmp_path, capsys, options, expected):
    numbers = ["--data.train", "4", "--data.val", "2", "--data.test", "2", "--data.image_size", "16"]
    places = ["--data.init_args.root", str(tmp_path / "frames"), "--default_root_dir", str(tmp_path / "out")]
    assert main(["train", *BASE, "--model.stages", "2", *numbers, *places, *options]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert expected in err
    assert not (tmp_path / "out").exists()


def test_a_benchmark_is_checked_before_it_runs(told, tmp_path):
    def config(**jobs) -> tuple[str, ...]:
        (tmp_path / "b.yaml").write_text(json.dumps({"accelerator": "cpu", "benchmark": jobs}))
        return "benchmark", "--config", "b.yaml"

    model = {"class_path": "medanomaly.models.Autoencoder"}
    data = {"class_path": "medanomaly.data.Phantom"}
    assert told("benchmark", "--config", "none.yaml")[0] == 2
    status, line = told(*config(seed=1, model={"class_path": "medanomaly.models.Autoencodr"}, data=data))
    assert status == 2
    assert "benchmark.model medanomaly.models.Autoencodr" in line
    assert "mean medanomaly.models.Autoencoder?" in line
    status, line = told(*config(seed=1, model=model, data={**data, "init_args": {"colour": "gray"}}))
    assert status == 2
    assert "colour must be one of" in line
    assert told(*config(seed=-1, model=model, data=data))[0] == 2
