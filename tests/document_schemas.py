"""What the tests' own schemas of the documents of ``--json`` have in common."""

from typing import Literal

import msgspec

Words = tuple[str, str, str, str, str, str, str, str]
Mode = Literal["join", "inventory", "synchronize"]


class Schema(msgspec.Struct, forbid_unknown_fields=True):
    """A document, or a part of one: no field more, none less."""


def read(done, schema):
    """Return the one document that a command wrote, read by a schema."""
    (line,) = done.out.splitlines()
    return msgspec.json.decode(line, type=schema)
