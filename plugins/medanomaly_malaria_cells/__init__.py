"""Red blood cells from thin smears, with and without malaria parasites (NLM)."""

from medanomaly_malaria_cells.datamodule import MalariaCells

__all__ = ["MalariaCells"]
