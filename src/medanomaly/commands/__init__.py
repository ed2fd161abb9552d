"""The commands of ``medanomaly``, one file each: ``add(subparsers)`` says what they take, ``run(args)`` does it.

:mod:`medanomaly.cli` gathers them; what they share is in :mod:`.common` and :mod:`.parser`.
"""
