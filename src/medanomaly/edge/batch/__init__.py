"""Score archives of images into records, one line each: ``medanomaly infer`` and ``verify``.

Look first into :mod:`.infer_inputs`, the whole command. :mod:`.inputs` finds what is to be scored, :mod:`.records` and
:mod:`.outputs` write, :mod:`.watch` waits for arriving files, :mod:`.anonymous` hides names, and :mod:`.ray_cluster`
spreads the work over machines.
"""
