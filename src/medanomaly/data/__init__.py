"""The sample table and its data module; and ``medanomaly.data.<Name>``, the address of every data plugin.

Look first into :mod:`.datamodule` (``MedicalDataModule``, the base of every plugin) and :mod:`.table` (the columns).
:mod:`.csv_table` and :mod:`.find_files` make tables, :mod:`.splits` deals groups into splits, :mod:`.image_cache` keeps
images, and :mod:`.check_data` is ``medanomaly data check``.
"""
# ruff: noqa: F401 (names for type checkers; __getattr__ gives them out)

from typing import TYPE_CHECKING

from medanomaly.registry import lazy_attribute

if TYPE_CHECKING:
    from medanomaly.data.datamodule import MedicalDataModule
    from medanomaly.data.plugin_table import DataError
    from medanomaly.data.splits import split_by_group
    from medanomaly.data.table import TableError, read_columns, read_csv

#: What a data plugin is written with, and the module that holds it.
_PUBLIC = {
    "DataError": "plugin_table",
    "MedicalDataModule": "datamodule",
    "TableError": "table",
    "read_columns": "table",
    "read_csv": "table",
    "split_by_group": "splits",
}

__getattr__, __dir__ = lazy_attribute("data", __name__, _PUBLIC)
