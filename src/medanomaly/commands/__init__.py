"""Commands of ``medanomaly`` that have a module of their own."""
