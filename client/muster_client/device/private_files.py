"""Files of one user: replaced in one step, and refused when other users can read them."""

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from muster_client.errors import NO_ROOM, DataNotWritten, UnusableData

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
FRESH = ".new"
"""How the name of a file ends that is to replace another."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` about the device's file at ``path`` into ``DataNotWritten`` or ``UnusableData``."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DataNotWritten("the disk that holds the device's data is full") from error
        said = (error.strerror or str(error)).lower()
        raise UnusableData(
            f"{error.filename or path} cannot be used: {said}; check that it is yours, and that nothing else is there"
        ) from error


def make_private_folder(path: Path) -> None:
    """Create the folder, and those above it, with access for its user only; the mode of an existing one is set."""
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    path.chmod(PRIVATE_FOLDER)


def make_own_folder(path: Path) -> bool:
    """Create a folder in one that all users share, with access for its user only; return whether it is this user's.

    The mode of an existing one is set only if it is. Raises ``OSError`` for a symbolic link, which another user may
    have put there to have the mode of this user's other folders changed.
    """
    path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        own = os.fstat(descriptor).st_uid == os.getuid()
        if own:
            os.fchmod(descriptor, PRIVATE_FOLDER)
        return own
    finally:
        os.close(descriptor)


def create_private(path: Path) -> None:
    """Create an empty file with mode 0600 unless there is one, so that it is never open to other users."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, PRIVATE_FILE))


def close_to_others(path: Path) -> None:
    """Take the access of other users from this file or folder, if there is one that is this user's."""
    # By its path: a file of a database that is opened and closed again loses the locks that this process has on it.
    with suppress(FileNotFoundError):
        status = path.stat()
        if status.st_uid == os.getuid() and status.st_mode & OTHERS:
            path.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)


def replace_private(path: Path, data: bytes, *, check: Callable[[Path], None] | None = None) -> None:
    """Replace the file's content in one step; the new content is on disk before the old one is gone.

    ``check`` reads the new file first. If it raises, the old file stays.
    """
    # The number of the process would be used again, and the file of one that was killed would be in the way.
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}{FRESH}")
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if check is not None:
            check(fresh)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def remove_unfinished(path: Path) -> None:
    """Remove what killed processes left of replacing this file; the caller holds the lock of those that replace it."""
    for fresh in path.parent.glob(f"{path.name}.*{FRESH}"):
        fresh.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def readable_by_others(path: Path) -> bool:
    """Return whether group or world may read or write the file."""
    return bool(path.stat().st_mode & OTHERS)


def owned(path: Path) -> bool:
    """Return whether the file is this user's own."""
    return path.stat().st_uid == os.getuid()
