"""What the server keeps for readers: their sessions, files, worklists and marks."""
