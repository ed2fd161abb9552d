"""The page that a reviewer reads: check cards, checklist, intended use, charts and pictures.

Look first into :mod:`.page`, which renders ``templates/`` from a run's evidence; :mod:`.side_by_side` does so for
several runs. Figures come from ``metrics`` and ``evidence``: here they are only drawn and put into words.
"""
