"""Bundles for the page, one of them without a model behind it, whose score is the image's mean; and a browser."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.conftest import write_image
from tests.edge.conftest import draw_bundle

from medanomaly.app.session.loaded_bundle import LoadedBundle
from medanomaly.app.session.mark_store import Store
from medanomaly.app.session.session_files import Files
from medanomaly.app.session.sessions import Sessions
from medanomaly.app.session.uploads import Limits
from medanomaly.app.session.worklist import Worklist
from medanomaly.edge import Detector
from medanomaly.edge.bundle import SCORES
from medanomaly.files import sha256


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """The compile cache of the person who runs the tests stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


def add_scores(folder: Path, normal: list[float], abnormal: list[float]) -> Path:
    """Leave validation scores in a bundle, as the export does."""
    with (folder / SCORES).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "abnormal", "raw_score"])
        rows.writerows(["normal", False, score] for score in normal)
        rows.writerows(["bleeding", True, score] for score in abnormal)
    card = json.loads((folder / "card.json").read_text())
    card["validation"] = {"file": SCORES, "sha256": sha256(folder / SCORES)}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="session")
def mean_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Abnormal above a mean of 0.5; validation: 100 normal scores from 0.005 to 0.5, 50 abnormal from 0.4 to 0.89."""
    folder = draw_bundle(tmp_path_factory.mktemp("mean") / "bundle")
    return add_scores(folder, [i / 200 for i in range(1, 101)], [0.4 + i / 100 for i in range(50)])


@pytest.fixture(scope="session")
def loaded(mean_bundle: Path) -> LoadedBundle:
    return LoadedBundle(mean_bundle)


@pytest.fixture
def sessions(loaded: LoadedBundle, tmp_path: Path):
    found = Sessions([loaded], Store(tmp_path / "marks"), grace=0.05, temporary=tmp_path)
    yield found
    found.close()


@pytest.fixture
def scored(loaded: LoadedBundle, tmp_path: Path):
    """A function that hands files over and waits until all are scored: returns the worklist."""
    folder = tmp_path / "session"
    folder.mkdir()
    files = Files(folder, Limits())
    work = Worklist(loaded.detector, files)

    def score(*paths: Path) -> Worklist:
        hand_over(files, *paths)
        work.score()
        wait(lambda: not work.busy)
        return work

    yield score
    files.close()
    work.close()


def hand_over(files: Files, *paths: Path) -> None:
    for path in paths:
        place = files.place()
        place.write_bytes(path.read_bytes())
        files.add(path.name, place)


def wait(done, seconds: float = 90) -> None:
    import time

    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def grey(path: Path, level: int, size: tuple[int, int] = (20, 24)) -> Path:
    return write_image(path, np.full((*size, 3), level, np.uint8))


@pytest.fixture(scope="module")
def browser():
    from tests.app.browsing import CHROMIUM, playwright

    with playwright.sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def served(tiny_bundle, tmp_path_factory):
    from tests.app.serving import Serving

    with Serving(tiny_bundle, marks=tmp_path_factory.mktemp("marks"), options=("--keep", "1")) as serving:
        yield serving
    assert serving.status == 0, serving.log
    assert "Traceback" not in serving.log
    assert list(serving.temporary.iterdir()) == []


@pytest.fixture
def context(browser):
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    made.set_default_timeout(60_000)
    yield made
    made.close()


@pytest.fixture
def desk(context, served):
    from tests.app.browsing import Desk

    opened = Desk(context, served.url)
    yield opened
    opened.sound()


@pytest.fixture(scope="module")
def frames(tiny_run) -> list[Path]:
    """Eight drawn frames of the test split, half of them bleeding."""
    table = pd.read_csv(tiny_run / "predictions.csv")
    return [Path(path) for _, part in table.groupby("label") for path in part["path"][:4]]


@pytest.fixture(scope="module")
def truth(tiny_bundle, frames):
    """What the detector says of each frame, most suspicious first."""
    detector = Detector(tiny_bundle)
    return sorted((detector(path) for path in frames), key=lambda result: -result.raw_score)
