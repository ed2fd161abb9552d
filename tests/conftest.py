"""Shared fixtures: where real images lie, and one small run that everything after training is tested on."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.run_fixtures import abnormal, evidence, scores, trained  # noqa: F401


def pytest_unconfigure(config: pytest.Config) -> None:
    """Where there is no browser, the last line of all says so: a green run without them must not pass for a whole one."""
    missing = {
        "pip install 'medanomaly[dev]'": find_spec("streamlit") is None or find_spec("playwright") is None,
        "apt-get install chromium": not (shutil.which("chromium") or shutil.which("chromium-browser")),
    }
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    commands = [command for command, lacks in missing.items() if lacks]
    if reporter is not None and commands:
        reporter.write_line(f"The browser tests of the page were left out. To have them: {' && '.join(commands)}")


@pytest.fixture(scope="session")
def real_data() -> Path:
    root = os.environ.get("MEDANOMALY_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("MEDANOMALY_DATA is not set: tests on real images are left out")
    return Path(root)


def write_image(path: Path, array: np.ndarray) -> Path:
    """Write an RGB or grey array as the suffix says; makes folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = array[:, :, ::-1] if array.ndim == 3 else array
    assert cv2.imwrite(str(path), np.ascontiguousarray(bgr))
    return path


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run: the plain autoencoder, three epochs on a few drawn frames of 32 px."""
    from medanomaly.training.command_line import run

    work = tmp_path_factory.mktemp("run")
    status = run(
        [
            "train",
            "--model", "Autoencoder",
            "--model.init_args.stages", "3",
            "--model.init_args.width", "8",
            "--model.init_args.smooth", "3",
            "--model.init_args.score", "top",
            "--data", "Phantom",
            "--data.init_args.root", str(work / "frames"),
            "--data.init_args.train", "48",
            "--data.init_args.val", "20",
            "--data.init_args.test", "24",
            "--data.init_args.image_size", "32",
            "--trainer.max_epochs", "3",
            "--trainer.logger", "false",
            "--trainer.enable_progress_bar", "false",
            "--default_root_dir", str(work / "results"),
        ]
    )  # fmt: skip
    assert status == 0
    return (work / "results" / "Autoencoder" / "Phantom" / "latest").resolve()


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run, exported."""
    from medanomaly.export import export_run

    out = tmp_path_factory.mktemp("export") / "bundle"
    export_run(tiny_run, out)
    return out


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What version 0.1.0 wrote: see tests/fixtures/README.md."""
    folder = tmp_path_factory.mktemp("v0_1_0")
    with tarfile.open(Path(__file__).parent / "fixtures" / "v0_1_0.tar.xz") as archive:
        archive.extractall(folder, **({"filter": "data"} if sys.version_info >= (3, 11, 4) else {}))
    return folder / "v0_1_0"


@pytest.fixture
def here(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to work in, as the current folder: its runs name their images from there."""
    shutil.copytree(unpacked, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"
