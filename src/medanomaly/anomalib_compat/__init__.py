"""The one seam to anomalib and lightning: every private or undocumented name of theirs that we use stands here.

anomalib promises nothing about these names, so that a release may rename any of them. Other modules call the plain
names of this package. When anomalib or lightning renames something, ``tests/test_anomalib_contract.py`` fails and names
it, and only this package changes.

- :mod:`.names`: each name once, with its parameters and the reason for it.
- :mod:`.engine`, :mod:`.command_line`, :mod:`.benchmark`: training and its command line.
- :mod:`.datamodules`: splits, samples and loaders.
- :mod:`.plugin_lookup`: how anomalib finds a class by its path.
- :mod:`.thresholds`: the buffers of a post-processor.
- :mod:`.checkpoints`, :mod:`.checkpoint_io`: what a checkpoint holds, and how it is read.
- :mod:`.transforms`: transforms that can be exported.

Importing the package loads neither torch nor anomalib; ``names`` and ``checkpoints`` do not either.
"""
