"""Exit codes of ``muster``."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit code of a command; client/README.md explains each."""

    OK = 0
    NOT_DONE = 1
    """A typed reason was shown. For ``session start``: the session exists, but some targets refused."""
    NOT_TRUSTED = 2
    """``session start``: a target is not trusted or not known, and no session was created."""
    AGENT_NOT_CONNECTED = 2
    """``agent status``: the agent runs but is not connected to the hub."""
    NOT_CREATED = 3
    """``session start``: the session could not be created."""
    TIMED_OUT = 4
    """``session start --wait`` ran out of time."""
    INVALID = 5
    """The request is invalid: an option, a name or a number."""
    INTERRUPTED = 130
    """Ctrl-C, as shells count it."""
    PIPE_CLOSED = 141
    """The reader of the output closed the pipe (SIGPIPE), as shells count it."""
    TERMINATED = 143
    """SIGTERM, as shells count it."""
    UNEXPECTED = 255
    """A bug in the program."""
