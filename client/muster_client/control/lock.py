"""The lock that lets a device have one agent at a time. The system releases it when the process ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from muster_client.device.private_files import PRIVATE_FILE, in_words
from muster_client.errors import AgentRunning

MAX_LOCK_BYTES = 4096


class Holder(Struct, frozen=True):
    """The process that holds the lock, and its control socket; command lines read it from the lock file.

    ``inode`` is that of the lock file: a copy of a device's folder says nothing of the copy's own agent.
    """

    pid: int
    inode: int
    socket: str | None = None


@contextmanager
def agent_lock(path: Path, socket: Path | None) -> Iterator[None]:
    """Hold the lock on this file; raises ``AgentRunning`` if another process holds it, ``UnusableData``."""
    with in_words(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        _take(descriptor, path)
        holder = Holder(os.getpid(), os.fstat(descriptor).st_ino, None if socket is None else str(socket))
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(holder), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = read_holder(path)
        raise AgentRunning(None if holder is None else holder.pid) from None


def read_holder(path: Path) -> Holder | None:
    """Return the last holder of the lock, whether it still runs or not, or None if there was none.

    Raises ``UnusableData`` if the file cannot be read.
    """
    try:
        with in_words(path):
            return _read(path)
    except msgspec.DecodeError:
        return None


def _read(path: Path) -> Holder | None:
    try:
        with path.open("rb") as file:
            holder = msgspec.json.decode(file.read(MAX_LOCK_BYTES), type=Holder)
            return holder if holder.inode == os.fstat(file.fileno()).st_ino else None
    except (FileNotFoundError, NotADirectoryError):
        return None
