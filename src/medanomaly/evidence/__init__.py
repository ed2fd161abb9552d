"""Figures of a run with their uncertainty, honesty checks, comparison of runs, and caveats in words.

Look first into :mod:`.image_figures` and :mod:`.pixel_figures` (what is computed), :mod:`.checks` (what is tried
against the figures) and :mod:`.caveats` (what a careful reader would object to). Metrics themselves are in
``metrics``, the page is in ``report``, and ``runs`` writes the files that :mod:`.run_layout` names.
"""
