"""The command line: ``muster``, for people on a terminal and for scripts."""
