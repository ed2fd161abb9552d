"""Honesty checks of a tested run: what a careful reader would try before believing its figures.

Each check is a module: pure functions of arrays, and a function ``check`` that collects their input from the run. What
they find stands in ``evidence["checks"]``, under these names. A figure is ``{"value", "low", "high", "interval"}``: a
value, its 95 % interval, and the method in words; None is undefined. A check that could not be made is
``{"reason": "…"}`` and nothing else.

``shared_images``
    ``{"images", "validation": {…}, "training": {…}}``: test images, and of either other split, or None where it is not
    known, ``{"images", "shared", "by_address", "by_file", "by_pixels", "by_group", "decoded"}``. ``shared`` counts test
    images that are there too, each by the first way that found it; ``by_group`` counts further ones of groups that are
    there.
``one_number``, ``field_of_view``
    ``{"name", "direction": "high"|"low", "chosen_on": "validation"|"test", "auroc", "difference", "images": {"normal",
    "abnormal"}, "left_out", "note", "all": [{"name", "validation", "test", "direction", "settled", "auroc",
    "difference"}]}``.
    ``validation`` and ``test`` are AUROCs with high as abnormal (None if unknown); ``auroc`` is the test's in the
    direction; ``difference`` is the model's minus it, paired; ``settled`` says whether validation images show the
    direction beyond chance (None without them). ``all`` is sorted, furthest from 0.5 on the choosing images first.
    ``note`` is a sentence on what was looked at, or "".
``covering``
    ``{"images", "flagged", "flips_back", "random_flips_back", "threshold", "lower", "auroc", "auroc_covered",
    "auroc_random", "difference", "filled", "no_control", "too_large", "empty", "of"}``. Counts of images; ``flagged``
    and both flips are None without a threshold; ``lower`` counts images that score lower covered than control. Every
    AUROC is against normal images as they are, but for those in ``filled``: ``{"images", "auroc", "auroc_covered",
    "auroc_random", "difference", "passed", "flagged"}`` is against that number of normal images, filled likewise, and
    its ``difference`` decides. Its ``auroc`` is that of filled normal images above the same as they are; of ``passed``
    ones ``flagged`` pass no more once filled. It is ``{"reason": …}`` where none could be filled, and absent before
    version 0.2.0.
``overfitting``
    ``{"auroc", "training", "validation"}``: AUROC of validation normals above training normals, and counts.
``groups``
    ``{"shared": {"train": {"groups", "images"}, "val": {…}}, "test_groups", "examples": [str]}``: groups of the test
    that are in another split too, and test images in them.
``subgroups``
    ``{"columns": [{"column", "comparisons", "unknown", "levels": […]}], "threshold"}``. ``unknown`` counts images
    without a level. A level is ``{"level", "images", "normal", "abnormal", "auroc", "sensitivity", "specificity",
    "gap"}``; ``gap`` holds the level minus the rest for each of the three, as a figure with ``marked``: its interval is
    widened for ``comparisons`` levels (Bonferroni), and it is marked where that excludes 0.
"""

from medanomaly.evidence.checks.run_checks import run_checks

__all__ = ["run_checks"]
