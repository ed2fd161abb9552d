"""A seed system: what is trained for it, and the section of the page that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.reproduce.cells import Cells
from tools.reproduce.paths import Paths
from tools.reproduce.plots import Point
from tools.reproduce.tables import Table
from tools.reproduce.training import Training


@dataclass
class Section:
    """What the page says of one system.

    Args:
        blocks: Paragraphs in Markdown, and tables, in order.
        points: Lines of the plot of claims against figures.
        plots: Further plots that were drawn, file name to caption.
    """

    blocks: list[str | Table]
    points: list[Point] = field(default_factory=list)
    plots: dict[str, str] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        """The tables alone."""
        return [block for block in self.blocks if isinstance(block, Table)]


@dataclass(frozen=True)
class System:
    """A seed system.

    Args:
        name: Name of its script.
        title: Head of its section.
        trainings: What is trained.
        section: Makes its section of its cells; draws further plots where the paths say.
        compared: Figures that are compared between seeds.
    """

    name: str
    title: str
    trainings: Sequence[Training]
    section: Callable[[Cells, Paths], Section]
    compared: tuple[str, ...] = ("auroc",)


def told(name: str) -> str:
    """What a system claims and where our data differ from its, as ``claims/<name>.md`` says it."""
    return (Path(__file__).parent / "claims" / f"{name}.md").read_text(encoding="utf-8").rstrip()
