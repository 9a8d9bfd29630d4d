"""The store's scripts: Lua files of this package, each one atomic step in one slot.

A script starts with ``#!lua`` and its flags. A comment follows that names KEYS and ARGV, the effect, what is returned,
the words of its refusals, and why the call may be carried out twice. The first statements name KEYS and ARGV as
locals; a key has the name of its function in ``keys.py``.

- Refusals. A script that does not do what it was asked for returns the error ``MUSTER <word>``; ``steps.py`` turns
  words into exceptions. What a script found while it did its work is a result and is returned: which of two statements
  won (``taken``, ``known``, ``older``, ``mismatch``), how each of several invites went, who has to be held again. A
  refusal that carries data (the devices that an epoch cannot have) is a result too: its first cell is a word.
- Time. A script judges what is over by the store's clock, which it reads itself; a call never mixes two clocks. A
  script that may write is timed: ARGV[1] is ``not_after``, which the shard adds, and a call that reaches the store
  after it is refused with the word ``late``. A script under the flag ``no-writes`` is not timed, and neither is
  ``publish``, which keeps nothing.
- Durability. A line ``-- Volatile: why`` says that what the script writes need not survive a failover. Calls of all
  other scripts that may write are answered once ``store_replicas`` replicas have what they wrote.

The text that the store gets is the first line, the constants of ``keys.py`` and the row layouts of ``rows.py`` that are
used, the functions of ``prelude.lua`` that are used, and the rest of the script.
"""

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from muster_hub.store import keys, rows

FIRST_LINE = "#!lua"
VARIANTS = {
    "connect": "allow-oom",  # for a device that the hub knows: it comes to restrict, and its rows are there already
    "look": "no-writes",  # for an asker who does not watch: nothing is written
    "put_grant": "allow-oom",  # for a revocation
    "put_peer": "allow-oom",  # for an untrust
}
"""The scripts that also run under other flags, so that they run when the memory of the store is full."""

_VOLATILE = re.compile(r"\A#!lua[^\n]*\bno-writes\b|^-- Volatile: ", re.MULTILINE)
_UNTIMED = re.compile(r"\A#!lua[^\n]*\bno-writes\b|^-- Untimed: ", re.MULTILINE)
_COMMENT = re.compile(r"--[^\n]*")
_NAME = re.compile(r"\b[A-Za-z_]+\b")
_FUNCTION = re.compile(r"^local function (\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its name, its source, and the 40 hex digits of SHA-1 by which the store knows it.

    ``durable`` says whether its answer waits for the replicas, ``timed`` whether its first argument is ``not_after``.
    """

    name: str
    source: bytes = field(repr=False)
    sha1: bytes = field(repr=False)
    durable: bool = True
    timed: bool = False

    @classmethod
    def of(cls, name: str, source: str, *, timed: bool = False) -> "Script":
        """Make a script from its whole source; raises ``ValueError`` unless it starts with ``#!lua``."""
        if not source.startswith(FIRST_LINE):
            raise ValueError(f"script {name} does not start with {FIRST_LINE}")
        body = source.encode()
        # SHA-1 is how EVALSHA names a script; its strength does not matter here.
        sha1 = hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()
        return cls(name, body, sha1, durable=_VOLATILE.search(source) is None, timed=timed)


@cache
def script(name: str) -> Script:
    """Return the script in ``scripts/<name>.lua``, read once; raises ``FileNotFoundError`` when there is none."""
    return _composed(name, own_text(name))


@cache
def variant(name: str) -> Script:
    """Return the script under the flag that VARIANTS names for it; raises ``KeyError`` when there is none."""
    _, _, rest = own_text(name).partition("\n")
    return _composed(name, f"{FIRST_LINE} flags={VARIANTS[name]}\n{rest}", timed=script(name).timed)


@cache
def all_scripts() -> tuple[Script, ...]:
    """Return every script of the hub, and every variant."""
    names = sorted(file.name.removesuffix(".lua") for file in (files(__package__) / "scripts").iterdir())
    return (*map(script, names), *map(variant, VARIANTS))


def own_text(name: str) -> str:
    """Return a script as its file has it."""
    return (files(__package__) / "scripts" / f"{name}.lua").read_text(encoding="utf-8")


def constants() -> dict[str, str]:
    """Return what the scripts may name, as Lua: the bounds of ``keys.py``, and a table of places for each row."""
    bounds = {name: str(value) for name, value in vars(keys).items() if name.isupper() and isinstance(value, int)}
    return bounds | {_lua_name(row): _layout(row) for row in rows.Row.__subclasses__()}


def _composed(name: str, source: str, *, timed: bool | None = None) -> Script:
    first, _, rest = source.partition("\n")
    timed = _UNTIMED.search(source) is None if timed is None else timed
    body = _prelude(rest, timed=timed) + "\n\n" + rest
    known, used = constants(), _names(body)
    named = [f"local {each} = {known[each]}" for each in sorted(used & known.keys())]
    return Script.of(name, "\n".join([first, *named, body]), timed=timed)


def _prelude(rest: str, *, timed: bool) -> str:
    """Return the part of the prelude that a script uses: each function that it defines costs time at each call."""
    _, *blocks = (files(__package__) / "prelude.lua").read_text(encoding="utf-8").partition("\n")[2].split("\n\n")
    used, kept = _names(rest), list[str]()
    for block in reversed(blocks):
        function = _FUNCTION.search(block)
        if timed if function is None else function[1] in used:
            kept.append(block)
            used |= _names(block)
    return "\n\n".join(reversed(kept))


def _names(lua: str) -> set[str]:
    return set(_NAME.findall(_COMMENT.sub("", lua)))


def _lua_name(row: type[rows.Row]) -> str:
    """Return the name of a row's layout in Lua: LIVE_INVITE for LiveInviteRow."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", row.__name__.removesuffix("Row")).upper()


def _layout(row: type[rows.Row]) -> str:
    return "{" + ", ".join(f"{name} = {place}" for place, name in enumerate(row.__struct_fields__, start=1)) + "}"
