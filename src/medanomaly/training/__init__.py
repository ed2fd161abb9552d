"""anomalib's command line with every plugin loaded: options checked before a run, engine, benchmark.

Look first into :mod:`.command_line`. :mod:`.preflight` checks before a run, :mod:`.parse_errors` and
:mod:`.option_blame` explain wrong options, and :mod:`.load_data` makes the data module of a configuration.
"""

from medanomaly._moved import old_names

__getattr__ = old_names(__name__)
