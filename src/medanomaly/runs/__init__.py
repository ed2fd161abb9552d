"""A tested run: its folder, its record, and what can be made of it again: a report, scores, another operating point.

``TestedRun.load(folder)`` reads one back. Files are named in :mod:`medanomaly.evidence.run_layout`, and written by
:mod:`medanomaly.runs.evidence_writer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medanomaly.runs.errors import RunError
    from medanomaly.runs.tested_run import TestedRun

__all__ = ["RunError", "TestedRun"]


def __getattr__(name: str) -> Any:
    """Import a class when it is first asked for: names of files and errors need no pandas."""
    if name == "TestedRun":
        from medanomaly.runs.tested_run import TestedRun

        return TestedRun
    if name == "RunError":
        from medanomaly.runs.errors import RunError

        return RunError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
