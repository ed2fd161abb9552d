"""anomalib's command line with every plugin loaded: options checked before a run, engine, benchmark."""

from medanomaly._moved import old_names

__getattr__ = old_names(__name__)
