"""anomalib's command line with every plugin loaded: options checked before a run, engine, benchmark."""

from medanomaly._moved import renamed

__getattr__ = renamed(__name__)
