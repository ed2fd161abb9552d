"""Options by their names of version 0.1.0."""

from __future__ import annotations

import logging

import pytest

import medanomaly.data as data
from medanomaly.data.renamed_options import RENAMED, translated

OLD = {"artificial": ["noise:0.2"], "artificial_splits": ["test"], "artificial_per_image": 2}
NEW = {RENAMED[name]: value for name, value in OLD.items()}


@pytest.mark.parametrize("name", OLD)
def test_an_old_name_works_and_is_warned_of_in_one_line_that_says_the_new_one(name, caplog):
    with caplog.at_level(logging.WARNING):
        module = data.Table(**{name: OLD[name]})
    assert [record.getMessage() for record in caplog.records] == [
        f"The option {name} is called {RENAMED[name]} now. The old name works for this release alone."
    ]
    assert module.hparams == data.Table(**{RENAMED[name]: OLD[name]}).hparams
    assert not set(module.hparams) & set(OLD)


def test_new_names_are_not_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        module = data.Table(**NEW)
    assert not caplog.records
    assert [str(anomaly) for anomaly in module.synthetic_anomalies] == ["noise:0.2"]
    assert (module.synthetic_splits, module.synthetic_per_image) == (["test"], 2)


def test_a_default_that_a_command_line_made_a_list_of_is_nothing_given():
    module = data.Table(synthetic_splits=["val", "test"], artificial_splits=["test"])
    assert module.synthetic_splits == ["test"]


@pytest.mark.parametrize("name", OLD)
def test_both_names_at_once_are_refused(name):
    with pytest.raises(ValueError, match=f"{RENAMED[name]} and its old name {name} are both given"):
        data.Table(**{name: OLD[name], RENAMED[name]: OLD[name]})


def test_the_record_of_an_earlier_version_is_translated_and_one_of_today_stays():
    record = {"root": "there", **OLD}
    assert translated(record) == {"root": "there", **NEW}
    assert translated(translated(record)) == {"root": "there", **NEW}
