"""The store's scripts: Lua files of this package, each one atomic step in one slot.

A script starts with `#!lua`, and a comment follows that names KEYS and ARGV, the effect, what is returned, and why it
may be carried out again. A line `-- Volatile: why` says that what the script writes need not survive a failover; calls
of all others are answered once `store_replicas` replicas have what they wrote.
"""

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

FIRST_LINE = "#!lua"
_VOLATILE = re.compile(r"\A#!lua[^\n]*\bno-writes\b|^-- Volatile: ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its name, its source, and the 40 hex digits of SHA-1 by which the store knows it.

    `durable` says whether its answer waits for the replicas.
    """

    name: str
    source: bytes = field(repr=False)
    sha1: bytes = field(repr=False)
    durable: bool = True

    @classmethod
    def of(cls, name: str, source: str) -> "Script":
        """Make a script from its source; ValueError unless it starts with `#!lua`."""
        if not source.startswith(FIRST_LINE):
            raise ValueError(f"script {name} does not start with {FIRST_LINE}")
        body = source.encode()
        # SHA-1 is how EVALSHA names a script; nothing relies on its strength.
        sha1 = hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()
        return cls(name, body, sha1, durable=_VOLATILE.search(source) is None)


@cache
def script(name: str) -> Script:
    """Return the script in `scripts/<name>.lua`, read once; FileNotFoundError when there is none."""
    return Script.of(name, (files(__package__) / "scripts" / f"{name}.lua").read_text(encoding="utf-8"))
