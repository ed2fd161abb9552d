"""What the server keeps for readers: their sessions, files, worklists and marks.

Look first into :mod:`.sessions`. Files come in by :mod:`.uploads` and :mod:`.session_files`, are scored in
:mod:`.worklist`, and marks are stored by :mod:`.mark_store`.
"""
