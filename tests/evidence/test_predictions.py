"""A run's tables read back: a truth that is missing is no disease."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medanomaly.data.table import TableError
from medanomaly.evidence import predictions as tables


def rows() -> pd.DataFrame:
    truth = np.arange(6) > 3
    return pd.DataFrame(
        {"path": list("abcdef"), "label": ["NA", "", "normal", "x", "y", "z"], "group": list("001122"),
         "abnormal": truth, "raw_score": np.arange(6, dtype=np.float32) / 7, "decision": truth}
    )  # fmt: skip


@pytest.mark.parametrize(("column", "words"), [("abnormal", "true and false"), ("decision", "abnormal and normal")])
@pytest.mark.parametrize("cell", ["", "nan", "None", "perhaps", None])
def test_a_missing_truth_is_an_error_that_names_the_line(tmp_path, column, words, cell):
    table = rows().astype({column: object})
    table.loc[2, column] = cell
    table.to_csv(tmp_path / "predictions.csv", index=False)
    with pytest.raises(TableError, match=rf"column {column} holds more than {words}: line 4"):
        tables.read(tmp_path / "predictions.csv")


def test_what_was_written_comes_back(tmp_path):
    tables.write(rows(), tmp_path / "predictions.csv")
    back = tables.read(tmp_path / "predictions.csv")
    pd.testing.assert_frame_equal(back, rows(), check_dtype=False, rtol=1e-8)
    assert back["abnormal"].dtype == bool
    assert np.array_equal(back["raw_score"].to_numpy(np.float32), rows()["raw_score"].to_numpy())


def test_a_decision_is_written_in_words_and_read_in_those_of_earlier_versions_too(tmp_path):
    file = tmp_path / "predictions.csv"
    tables.write(rows(), file)
    assert pd.read_csv(file)["decision"].tolist() == ["normal"] * 4 + ["abnormal"] * 2
    assert pd.read_csv(file)["abnormal"].tolist() == [False] * 4 + [True] * 2  # a truth, no decision
    for spelling in ("True,False", "1,0", "ABNORMAL,Normal"):
        yes, no = spelling.split(",")
        rows().assign(decision=[no] * 4 + [yes] * 2).to_csv(file, index=False)
        found = tables.read(file)
        assert found["decision"].dtype == bool
        assert found["decision"].tolist() == [False] * 4 + [True] * 2


def test_an_unlabelled_batch_of_a_foreign_data_module_is_named():
    from types import SimpleNamespace

    with pytest.raises(TableError, match=r"Not every test image has a label: .*a\.png"):
        tables.rows_of(SimpleNamespace(gt_label=None, image_path=["a.png"]))
