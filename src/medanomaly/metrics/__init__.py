"""Metrics with their intervals, from scores and labels. A new metric is one file here; it needs numpy alone.

Images: :mod:`.ranking` (AUROC), :mod:`.confusion` (sensitivity, specificity), :mod:`.calibration`,
:mod:`.reader_agreement`. Pixels: :mod:`.pixels`, :mod:`.froc`, :mod:`.overlap`. Intervals: :mod:`.interval`,
:mod:`.bootstrap`, :mod:`.delong`. What needs scipy stands in :mod:`.distributions`; :mod:`.formatting` writes figures.
"""
