"""A run's scores, truth and evidence, and a trained run: fixtures of several rooms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.report_parts import ABNORMAL, NORMAL, evidence_record


@pytest.fixture
def scores() -> np.ndarray:
    random = np.random.default_rng(0)
    return np.exp(np.r_[random.normal(-6.5, 0.7, NORMAL), random.normal(-5.5, 1.2, ABNORMAL)])


@pytest.fixture
def abnormal() -> np.ndarray:
    return np.arange(NORMAL + ABNORMAL) >= NORMAL


@pytest.fixture
def evidence() -> dict[str, Any]:
    return evidence_record()


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A model, its data, and the predictions of a test without failures."""
    from tests.small_runs import OurRedness, evidence_of, phantom, predictions_of, train

    root = tmp_path_factory.mktemp("trained")
    model, data = OurRedness(), phantom(root)
    folder = train(model, data, root / "run")
    assert evidence_of(folder)["failed"] == []
    assert not (folder / "failures").exists()
    return model, data, predictions_of(folder)
