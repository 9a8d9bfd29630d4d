"""File locks that the system releases when the process that holds them ends."""

import fcntl
import os
from pathlib import Path


class FileLock:
    """An exclusive ``flock`` on a file. It belongs to the open file, so a child that inherits it holds it too."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_take(self) -> bool:
        """Take the lock if it is free, and write this process's id into the file for people to read."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return False
            raise
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return True

    @property
    def descriptor(self) -> int:
        """The open file, for a child to inherit; raises ``RuntimeError`` when the lock is not held here."""
        if self._descriptor is None:
            raise RuntimeError(f"{self.path.name} is not held")
        return self._descriptor

    def holder(self) -> str:
        """Return the process id that the last holder wrote, "unknown" when there is none."""
        return self.path.read_text(encoding="ascii").strip() or "unknown"

    def drop(self) -> None:
        """Release the lock here; a child that inherited it still holds it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
