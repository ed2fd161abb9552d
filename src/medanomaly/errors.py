"""The base of every error that this toolkit raises on purpose.

An error of ours also inherits the built-in one that it is a case of, such as ``ValueError``: whoever catches that one
still does.
"""

from __future__ import annotations


class MedAnomalyError(Exception):
    """Something that the user can mend. The message is a sentence or more: what is wrong, and what to do."""
