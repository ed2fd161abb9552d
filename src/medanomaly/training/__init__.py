"""anomalib's command line with every plugin loaded: options checked before a run, engine, benchmark."""
