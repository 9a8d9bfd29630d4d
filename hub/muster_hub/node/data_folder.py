"""The node's data folder: a lock for one process, the node's lasting name, and a note for scripts on its address."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from muster_hub.config.settings import SettingError
from muster_hub.store.locks import FileLock

NAME_BYTES = 8
NOTE = "hub.json"
LOCK = "node.lock"


@contextmanager
def data_folder(path: Path) -> Iterator[str]:
    """Lock the folder for this process and yield the node's name; raises ``SettingError`` if another has locked it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(path / LOCK)
        taken = lock.try_take()
    except OSError as error:
        raise SettingError("data_dir", f"{path} cannot be used: {error.strerror}") from error
    if not taken:
        raise SettingError("data_dir", f"{path} is already in use by process {lock.holder()}; end it first")
    try:
        yield _node_name(path / "node")
    finally:
        lock.drop()


@contextmanager
def note(path: Path, *, url: str, fingerprint: str, pid: int) -> Iterator[None]:
    """Keep ``hub.json`` in the folder while the hub is ready; it is created and removed in one step."""
    target = path / NOTE
    _replace(target, msgspec.json.encode({"url": url, "fingerprint": fingerprint, "pid": pid}) + b"\n")
    try:
        yield
    finally:
        target.unlink(missing_ok=True)


def _node_name(path: Path) -> str:
    # A node that starts again under its old name takes over its last lease at once.
    try:
        name = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        name = ""
    if len(name) == 2 * NAME_BYTES and set(name) <= set("0123456789abcdef"):
        return name
    fresh = secrets.token_hex(NAME_BYTES)
    _replace(path, f"{fresh}\n".encode())
    return fresh


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
