"""Arrays at the edge: a score that means something, or an error that says what to pass; never NaN, never "normal"."""

from __future__ import annotations

import numpy as np
import pytest
from tests.edge.conftest import SIZE

from medanomaly.edge import Detector, Failure, Frame
from medanomaly.imaging import ImageError

IMAGE = np.full((SIZE, SIZE, 3), 100, np.uint8)

BAD = [
    *(IMAGE.astype(kind) for kind in ("int16", "int32", "int64", "uint32", "uint64", bool, object, complex)),
    np.full((SIZE, SIZE, 3), np.nan, np.float32), np.full((SIZE, SIZE), np.inf), np.dstack([IMAGE, IMAGE[:, :, 0]]),
    IMAGE.transpose(2, 0, 1), IMAGE[None], IMAGE[:, :, :2], IMAGE[:0], IMAGE[0, 0], IMAGE.tolist(), 7, b"image",
]  # fmt: skip


@pytest.fixture
def detector(drawn_bundle):
    return Detector(drawn_bundle)


@pytest.mark.parametrize(
    "image", BAD, ids=lambda image: f"{type(image).__name__} {np.asarray(image).dtype} {np.shape(image)}"
)
def test_what_is_no_image_is_refused_everywhere(detector, image):
    for ask in (detector, lambda image: detector(image, name="image"), lambda image: detector(Frame("image", image))):
        with pytest.raises(ImageError, match=r"^image: .*(Pass|pass|Drop|Replace)"):
            ask(image)
    first, second = detector.batch([image, IMAGE])
    assert isinstance(first, Failure)
    assert first.input == "image 0"
    assert first.error.startswith("image 0: ")
    assert second.raw_score == pytest.approx(100 / 255, abs=1e-6)
    (only,) = detector.stream([image])
    assert isinstance(only, Failure)
    assert only.input == "image"


@pytest.mark.parametrize(
    "image",
    [
        IMAGE,
        IMAGE[:, :, 0],
        IMAGE[:, :, :1],
        IMAGE.astype(np.uint16) * 257,
        IMAGE / 255,
        (IMAGE / 255).astype(np.float16),
    ],
    ids=lambda image: f"{image.dtype} {image.shape}",
)
def test_plain_arrays_have_one_score(detector, image):
    assert detector(image).raw_score == pytest.approx(100 / 255, abs=2e-4)
    assert detector.batch([image])[0].raw_score == pytest.approx(100 / 255, abs=2e-4)


@pytest.mark.parametrize(
    "image", [IMAGE, IMAGE / 255 * 3, np.full((SIZE, SIZE, 3), np.nan), np.zeros((SIZE, SIZE + 1, 3))]
)
def test_what_came_prepared_is_as_the_model_reads_it(detector, image):
    with pytest.raises(ImageError, match="not as the model reads it"):
        detector.score(image)
    assert detector.score((IMAGE / 255).astype(np.float32)).raw_score == pytest.approx(100 / 255, abs=1e-6)
