"""The hub's secrets: its identity key, in a file that only its user can read, and what is derived from it."""

import os
import secrets
import stat
from pathlib import Path

from muster_protocol.continuity import hub_secret
from muster_protocol.keys import SECRET_BYTES, SigningKey

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class HubKeyError(Exception):
    """Raised when the key file is not usable; the sentence says what to do."""


class HubSecrets:
    """The key that the hub signs with, and the secret of its continuity tokens, made from it. Never printed."""

    __slots__ = ("signing", "token_secret")

    def __init__(self, secret: bytes) -> None:
        self.signing = SigningKey.from_secret(secret)
        self.token_secret = hub_secret(secret)


def load_or_create(path: Path) -> HubSecrets:
    """Read the key file, or create it with a new key if there is none.

    Raises ``HubKeyError`` for a file that others can read, or that holds no key.
    """
    try:
        return HubSecrets(_read(path))
    except FileNotFoundError:
        _create(path, secrets.token_bytes(SECRET_BYTES))
        return HubSecrets(_read(path))


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if status.st_mode & _OTHERS:
            raise HubKeyError(f"{path} may be read by others; run: chmod 600 {path}")
        if status.st_uid != os.geteuid():
            raise HubKeyError(f"{path} belongs to another user")
        secret = file.read(SECRET_BYTES + 1)
    if len(secret) != SECRET_BYTES:
        raise HubKeyError(f"{path} is not a hub key: it has to have {SECRET_BYTES} bytes")
    return secret


def _create(path: Path, secret: bytes) -> None:
    """Create the whole file in one step; of two processes that do so at once, the first one's key stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        _sync_folder(path.parent)
    finally:
        draft.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
