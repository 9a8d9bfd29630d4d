"""The numbers that ``muster`` ends with."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script learns from the end of a command; client/README.md lists them for people."""

    OK = 0
    NOT_DONE = 1
    """A typed reason was shown. For ``session start``: the session exists, and some could not be called in."""
    NOT_TRUSTED = 2
    """``session start``: someone is not trusted, and no session was created."""
    AGENT_NOT_CONNECTED = 2
    """``agent status``: it runs, and has no connection to the hub."""
    NOT_CREATED = 3
    """``session start``: the session could not be created."""
    TIMED_OUT = 4
    """``session start --wait`` ran out of time."""
    INVALID = 5
    """The request itself is wrong: an option, a name, a number."""
    INTERRUPTED = 130
    """Ctrl-C, as shells count it."""
    PIPE_CLOSED = 141
    """Whoever read the output went away, as shells count it."""
    TERMINATED = 143
    """SIGTERM, as shells count it."""
    UNEXPECTED = 255
    """A mistake in the program."""
