"""The identity key and its chain on disk: one file, so that a rotation changes both in one step."""

import base64
import binascii
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from msgspec import Struct

from muster_client.device.database import transaction
from muster_client.device.private_files import (
    PRIVATE_FILE,
    in_words,
    owned,
    readable_by_others,
    remove_unfinished,
    replace_private,
)
from muster_client.errors import UnsafeKeyFile
from muster_protocol.cards import MAX_ROTATIONS, Rotation, SignedRotation, sign_rotation, verify_rotation
from muster_protocol.codec import convert, encode, unpack
from muster_protocol.errors import Refused
from muster_protocol.ids import ClientId, Serial, client_id
from muster_protocol.keys import SECRET_BYTES, PublicKey, SigningKey

HEADER = b"muster device key, version 1: keep it secret, never copy it to another machine\n"
MAX_KEY_FILE_BYTES = 64 * 1024


class _Stored(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    secret: bytes
    genesis: PublicKey
    rotations: tuple[SignedRotation, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """A device's private key with the chain that leads to it from its first key."""

    key: SigningKey
    secret: bytes
    genesis: PublicKey
    rotations: tuple[SignedRotation, ...]

    @classmethod
    def fresh(cls) -> Self:
        """Make a new identity."""
        secret = os.urandom(SECRET_BYTES)
        key = SigningKey.from_secret(secret)
        return cls(key, secret, key.public, ())

    @property
    def client(self) -> ClientId:
        """The device's name, which no rotation changes."""
        return client_id(self.genesis.alg, self.genesis.public)

    def rotated(self, serial: Serial) -> "Identity":
        """Return this identity under a new key; raises ``ValueError`` after 32 rotations."""
        if len(self.rotations) == MAX_ROTATIONS:
            raise ValueError(f"a device's key changes {MAX_ROTATIONS} times at most")
        secret = os.urandom(SECRET_BYTES)
        key = SigningKey.from_secret(secret)
        body = Rotation(
            client=self.client,
            number=len(self.rotations) + 1,
            predecessor=self.key.fingerprint,
            new_key=key.public,
            serial=serial,
        )
        return Identity(key, secret, self.genesis, (*self.rotations, sign_rotation(body, self.key, key)))


def write_identity(path: Path, identity: Identity) -> None:
    """Put the key file in place, 0600, in one step, once the new file was read back and verified.

    Raises ``UnsafeKeyFile`` if the new file does not open as this identity; the file before it stays.
    """
    stored = _Stored(identity.secret, identity.genesis, identity.rotations)
    replace_private(path, HEADER + base64.encodebytes(encode(stored)), check=lambda fresh: _read_back(fresh, identity))


def change_identity(path: Path, identity: Identity, database: sqlite3.Connection) -> None:
    """Replace the key file of a device, while no other process of the device does.

    Raises ``UnusableData`` or ``DataNotWritten`` if it cannot be written, and as ``write_identity`` does.
    """
    # Nothing is written to the database: its lock is the device's.
    with in_words(path), transaction(database):
        remove_unfinished(path)
        write_identity(path, identity)


def _read_back(fresh: Path, identity: Identity) -> None:
    written = read_identity(fresh)
    if (written.secret, written.genesis, written.rotations) != (
        identity.secret,
        identity.genesis,
        identity.rotations,
    ):
        raise UnsafeKeyFile(f"{fresh} was read back with another content than was written; the key stays as it was")


def read_identity(path: Path) -> Identity:
    """Read the key file; raises ``UnsafeKeyFile``, ``FileNotFoundError``.

    It is unsafe if it is another user's, who chose the key or can read it, if others can read it, or if it is damaged.
    """
    if not owned(path):
        raise UnsafeKeyFile(f"{path} is another user's file; run Muster as that user, or put your own there")
    if readable_by_others(path):
        raise UnsafeKeyFile(f"{path} can be read by others; run: chmod {PRIVATE_FILE:o} {path}")
    with path.open("rb") as file:
        data = file.read(MAX_KEY_FILE_BYTES)
    if not data.startswith(HEADER):
        raise UnsafeKeyFile(f"{path} is not a device key of Muster")
    try:
        return _parse(data.removeprefix(HEADER))
    except (Refused, ValueError, binascii.Error):
        # Without the cause, which could quote the content of the file.
        raise UnsafeKeyFile(
            f"{path} is damaged; put it back from a backup, or move its folder away and run `muster init`"
        ) from None


def _parse(text: bytes) -> Identity:
    stored = convert(unpack(base64.b64decode(text, validate=False)), _Stored)
    identity = Identity(SigningKey.from_secret(stored.secret), stored.secret, stored.genesis, stored.rotations)
    key = stored.genesis
    for link in stored.rotations:
        key = verify_rotation(link, key).new_key
    if key != identity.key.public:
        raise ValueError("the chain leads to another key")
    return identity
