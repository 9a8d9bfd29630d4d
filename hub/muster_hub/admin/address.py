"""Where the private socket is: ``hub.sock`` in the node's data folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET = "hub.sock"
MAX_PATH_BYTES = 100
"""A Unix socket's address holds 104 bytes on macOS, 108 on Linux."""


@contextmanager
def address(path: Path) -> Iterator[str]:
    """Return a name of the path that fits into a socket's address, for as long as the block runs.

    Where the path is too long, Linux takes it by an open folder. Raises ``OSError`` elsewhere.
    """
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
