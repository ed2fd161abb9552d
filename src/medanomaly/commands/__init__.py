"""The commands of ``medanomaly``, one file each: ``add(subparsers)`` says what they take, ``run(args)`` does it."""
