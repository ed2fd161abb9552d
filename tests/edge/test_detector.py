"""The detector by itself: order, bounds, threads, original size, cache, self-test."""

from __future__ import annotations

import gc
import json
import logging
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import write_image
from tests.edge.conftest import SIZE, draw_bundle

from medanomaly.edge import BundleError, Detector, Failure, Frame, Result
from medanomaly.edge.compilation import cache_folder, usable_cache


@pytest.fixture
def detector(drawn_bundle):
    return Detector(drawn_bundle)


def grey(value: float) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), value, np.float32)


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("medanomaly")]


@pytest.mark.parametrize("hint", ["latency", "throughput"])
def test_hints_give_the_same_scores(drawn_bundle, greys, hint):
    detector = Detector(drawn_bundle, hint=hint, threads=1)
    scores = [result.raw_score for result in detector.stream(greys)]
    np.testing.assert_allclose(scores, np.arange(24) * 10 / 255, atol=1e-6)
    assert [result.decision for result in detector.batch(greys)] == ["normal"] * 13 + ["abnormal"] * 11


def test_wrong_options_are_refused(drawn_bundle):
    with pytest.raises(ValueError, match="hint must be one of"):
        Detector(drawn_bundle, hint="fast")
    with pytest.raises(ValueError, match="threads must be at least 1"):
        Detector(drawn_bundle, threads=0)
    with pytest.raises(BundleError, match="cannot be compiled for NONE"):
        Detector(drawn_bundle, device="NONE")


def test_batch_takes_arrays_and_paths_and_records_what_is_bad(detector, greys):
    outcomes = detector.batch([grey(0.25), greys[3], "/nowhere.png", grey(7.0), Frame("mine", grey(1.0), time=2.5)])
    assert [outcome.input for outcome in outcomes] == ["image 0", greys[3], "/nowhere.png", "image 3", "mine"]
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, False, True, True, False]
    assert outcomes[0].raw_score == pytest.approx(0.25)
    assert outcomes[4].time == 2.5


def test_order_is_kept_when_some_are_slow_and_some_fail(detector, greys, monkeypatch):
    read = type(detector.bundle.reading).load_placed

    def slow(self, path):
        if Path(path).stem.endswith("3"):
            time.sleep(0.05)
        if Path(path).stem.endswith("5"):
            raise RuntimeError("a decoder's bug")
        return read(self, path)

    monkeypatch.setattr(type(detector.bundle.reading), "load_placed", slow)
    outcomes = list(detector.stream(greys, readers=4))
    assert [outcome.input for outcome in outcomes] == greys
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert [Path(failure.input).stem for failure in failed] == ["05", "15"]
    assert failed[0].error == f"{greys[5]}: RuntimeError: a decoder's bug"


def test_no_more_is_drawn_than_ahead(detector):
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield Frame(str(drawn), grey(0.5))

    stream = detector.stream(endless(), readers=2, ahead=5)
    for handed in range(1, 40):
        assert next(stream).input == str(handed)
        assert drawn - handed < 5
        time.sleep(0.002)  # a slow consumer does not make it longer
    stream.close()
    assert not workers()


def test_a_consumer_that_stops_early_leaves_no_thread_and_closes_the_source(detector):
    closed = []

    def source():
        try:
            for i in range(1000):
                yield Frame(str(i), grey(0.5))
        finally:
            closed.append(True)

    for _ in detector.stream(source()):
        break
    gc.collect()
    assert not workers()
    assert closed


def test_an_error_of_the_source_is_the_callers_and_leaves_no_thread(detector, greys):
    def source():
        yield from greys[:3]
        raise OSError("the share is gone")

    with pytest.raises(OSError, match="the share is gone"):
        list(detector.stream(source()))
    assert not workers()


def test_nothing_for_now_brings_out_what_is_waiting(detector, greys):
    handed = []

    def source():
        yield from greys[:3]
        yield None
        handed.append(len(got))
        yield greys[3]

    got = []
    for result in detector.stream(source(), ahead=100):
        got.append(result)
    assert handed == [3]
    assert [result.input for result in got] == greys[:4]


def test_one_detector_serves_several_threads(detector):
    found: dict[int, list[float]] = {}

    def work(i: int) -> None:
        found[i] = [detector.score(grey(i / 8)).raw_score for _ in range(30)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, scores in found.items():
        np.testing.assert_allclose(scores, i / 8, atol=1e-6)


def test_maps_come_back_at_the_original_size(tmp_path):
    bundle = draw_bundle(tmp_path / "bundle", {"field_of_view": "crop:40"})
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:30, 20:40] = 255  # the upper left quarter of the crop
    result = Detector(bundle)(write_image(tmp_path / "square.png", image))
    assert isinstance(result, Result)
    assert result.heat.shape == result.mask.shape == (SIZE, SIZE)
    assert result.original_size == (60, 80)
    heat, mask = result.heat_at_original(), result.mask_at_original()
    assert heat.shape == mask.shape == (60, 80)
    assert heat.dtype == np.float32
    np.testing.assert_array_equal(mask, heat > 0.5)
    assert (mask != (image[:, :, 0] > 0)).sum() <= 1  # the corner
    crop = np.zeros((60, 80), bool)
    crop[10:50, 20:60] = True
    np.testing.assert_array_equal(heat > 0, crop)


def test_black_outside_a_view_is_not_in_its_map(tmp_path):
    bundle = draw_bundle(tmp_path / "bundle", {"field_of_view": "circle"})
    row, column = np.ogrid[:200, :300]
    inside = (row - 100) ** 2 + (column - 150) ** 2 < 80**2
    image = np.repeat((inside * 200).astype(np.uint8)[:, :, None], 3, axis=2)
    mask = Detector(bundle)(image).mask_at_original()
    assert mask.shape == (200, 300)
    assert (mask & inside).sum() / (mask | inside).sum() > 0.9


def test_an_image_that_came_prepared_has_the_size_of_the_model(detector):
    result = detector.score(grey(0.75))
    assert result.original_size == (SIZE, SIZE)
    np.testing.assert_array_equal(result.heat_at_original(), result.heat)


def test_compiled_graphs_are_kept_in_the_users_cache(drawn_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Detector(drawn_bundle, cache=False)
    assert not list(tmp_path.iterdir())
    Detector(drawn_bundle)
    blobs = list((tmp_path / "cache" / "medanomaly").iterdir())
    assert blobs
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    for blob in blobs:  # half of one, as a full disk leaves it
        blob.write_bytes(blob.read_bytes()[: blob.stat().st_size // 2])
    assert Detector(drawn_bundle).score(grey(0.5)).raw_score == pytest.approx(0.5)
    Detector(drawn_bundle, cache=tmp_path / "other")
    assert list((tmp_path / "other").iterdir())


def test_a_cache_that_cannot_be_written_is_no_error(drawn_bundle, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level(logging.DEBUG, "medanomaly"):
        assert Detector(drawn_bundle).score(grey(0.5)).raw_score == pytest.approx(0.5)
    assert "not kept" in caplog.text
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "medanomaly"
    assert usable_cache(False) is None


def edited(bundle: Path, folder: Path, **changes) -> Path:
    copy = Path(shutil.copytree(bundle, folder))
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps({**card, **changes}))
    return copy


def test_the_self_test_knows_the_bundle_by_its_score(drawn_bundle, tmp_path):
    assert Detector(drawn_bundle).self_test()
    kept = json.loads((drawn_bundle / "card.json").read_text())["self_test"]
    wrong = {**kept, "figures": {**kept["figures"], "raw_score": kept["figures"]["raw_score"] * 1.001}}
    bundle = edited(drawn_bundle, tmp_path / "wrong", self_test=wrong)
    with pytest.raises(BundleError, match="fails its self-test on CPU: raw_score") as error:
        Detector(bundle)
    assert str(bundle) in str(error.value)
    assert "export the bundle again" in str(error.value)
    with pytest.raises(BundleError, match="is incomplete"):
        Detector(edited(drawn_bundle, tmp_path / "half", self_test={"image": "waves-1"}))


def test_older_bundles_have_no_self_test_and_run(drawn_bundle, tmp_path):
    older = edited(drawn_bundle, tmp_path / "older", self_test=None)
    assert not Detector(older).self_test()
    newer = edited(drawn_bundle, tmp_path / "newer", self_test={"image": "another drawing"})
    assert not Detector(newer).self_test()


def test_a_changed_weight_is_found_by_its_hash_and_behind_that_by_its_score(drawn_bundle, tmp_path):
    from medanomaly.files import sha256

    bundle = edited(drawn_bundle, tmp_path / "bundle")
    weights = np.fromfile(bundle / "model.bin", np.float32)
    weights[np.isclose(weights, 1 / 3)] *= np.float32(1.01)
    weights.tofile(bundle / "model.bin")
    with pytest.raises(BundleError, match=r"model.bin: was altered"):
        Detector(bundle)
    card = json.loads((bundle / "card.json").read_text())
    card["files"]["model.bin"] = sha256(bundle / "model.bin")
    (bundle / "card.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match="fails its self-test"):
        Detector(bundle)


def test_an_unknown_precision_is_refused(drawn_bundle, tmp_path):
    with pytest.raises(BundleError, match="precision fp4"):
        Detector(edited(drawn_bundle, tmp_path / "bundle", precision="fp4"))
