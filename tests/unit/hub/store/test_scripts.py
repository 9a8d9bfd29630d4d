"""The scripts, held to the keys and rows that they use, and to the ways in which they refuse and are called."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import muster_hub
from muster_hub.store import keys
from muster_hub.store.rows import Row
from muster_hub.store.scripts import VARIANTS, all_scripts, constants, own_text, script, variant
from muster_hub.store.steps import reason_of

ID = "a" * 32
COMMANDS = {"H": "hash", "Z": "sorted set", "X": "stream", "SPUBLISH": "channel", "GET": "string", "SET": "string"}
ANY_TYPE = frozenset({"DEL", "EXISTS", "PERSIST", "PEXPIRE", "PEXPIREAT"})
OWN_WORDS = frozenset({"another_hub", "forked", "replaced", "retired", "revoked", "tombstone", "too_many_nodes"})
"""Refusals that callers treat in their own way; all others have a reason."""

NAMES = [each.name for each in all_scripts() if each.name not in VARIANTS] + list(VARIANTS)
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
LOCALS = re.compile(r"^local ([\w, ]+) = unpack\(KEYS\)$", re.MULTILINE)
CALL = re.compile(r"redis\.call\('([A-Z]+)', (\w+)")
BOUND = re.compile(r"\b(MAX_[A-Z_]+) \(([\d,]+)\)")


def _makers() -> dict[str, str]:
    """Return the key that each name in the scripts stands for, as the table of ``keys.py`` writes it."""
    made: dict[str, str] = {"leases": keys.LEASES.decode(), "hub": keys.HUB.decode(), "codes": keys.CODES.decode()}
    made["channel"] = keys.channel("<node>").decode()
    for_client: list[Callable[[str], bytes]] = [
        keys.device,
        keys.peers,
        keys.grants,
        keys.stated,
        keys.uses,
        keys.instances,
        keys.acknowledged,
        keys.inbox,
        keys.session_index,
        keys.watchers,
    ]
    for_session = [
        keys.session,
        keys.roster,
        keys.minimum_versions,
        keys.epochs,
        keys.sealed,
        keys.invite_outcomes,
    ]
    for make in for_client:
        made[make.__name__] = make(ID).decode().replace("b:00", "b:xx").replace(ID, "<client>")
    for make in for_session:
        made[make.__name__] = make(ID).decode().replace("b:00", "b:xx").replace(ID, "<session>")
    for by_bucket in (keys.outbox, keys.due, keys.drained, keys.enrolled):
        made[by_bucket.__name__] = by_bucket(0).decode().replace("b:00", "b:xx")
    return made


def _table() -> dict[str, tuple[str, str]]:
    """Return type and bound of each key in the table of ``keys.py``."""
    assert keys.__doc__
    return {key: (kind.strip(), bound) for key, kind, bound in ROW.findall(keys.__doc__)}


def _code(name: str) -> str:
    return re.sub(r"--[^\n]*", "", own_text(name))


def _locals(name: str) -> list[str]:
    found = LOCALS.search(_code(name))
    assert found, f"{name} does not name its keys"
    return found[1].split(", ")


@pytest.mark.parametrize("name", NAMES)
def test_a_script_names_its_keys_as_keys_py_does_and_uses_each_by_its_type(name: str) -> None:
    made, table, named = _makers(), _table(), _locals(name)
    header = re.findall(r"\d+ (\w+)", own_text(name).partition("-- KEYS: ")[2].partition("-- ARGV")[0])
    assert header[: len(named)] == named
    for command, key in CALL.findall(_code(name)):
        if key not in named:
            assert command in ANY_TYPE, f"{command} {key}"
            continue
        kind = table[made[key]][0]
        expected = COMMANDS.get(command) or COMMANDS.get(command[0])
        assert command in ANY_TYPE or expected == kind, f"{command} on {key}, a {kind}"


@pytest.mark.parametrize("name", NAMES)
def test_a_script_uses_keys_and_arguments_by_their_names(name: str) -> None:
    code = _code(name)
    assert not re.search(r"KEYS\[", code)
    assert code.count("KEYS") == 1
    assert {int(place) for place in re.findall(r"ARGV\[(\d+)\]", code)} <= {10, 11, 12, 13}, "packed lists of commit"
    assert not re.search(r"\b(?:row|live|use|grant|about|held|mine|new|record)\[\d", code), "a cell without its name"


def test_every_key_is_used_by_a_script() -> None:
    assert {key for name in NAMES for key in _locals(name)} == set(_makers())
    assert set(_makers().values()) == set(_table())


def test_the_bounds_of_the_table_are_those_that_the_scripts_take() -> None:
    bounds = {name: value for _, bound in _table().values() for name, value in BOUND.findall(bound)}
    assert bounds
    assert {name: int(value.replace(",", "")) for name, value in bounds.items()} == {
        name: getattr(keys, name) for name in bounds
    }
    used = {word for name in NAMES for word in re.findall(r"\bMAX_[A-Z_]+\b", _code(name))}
    assert used == set(bounds)
    assert not [name for name in NAMES if re.search(r"\b(?:MAX|DAY)_[A-Z_]+\s*=|local MAX", _code(name))]


def test_each_row_has_its_layout() -> None:
    known = constants()
    assert known["PEER"] == "{kind = 1, serial = 2, hash = 3, fingerprint = 4, signed = 5}"
    assert {"MEMBER", "LIVE_INVITE", "USE", "PUSH", "DUE", "CUT", "RECORD"} <= known.keys()
    for row in Row.__subclasses__():
        assert all(place < len(row.__struct_fields__) for place in row.TEXT)


@pytest.mark.parametrize("name", NAMES)
def test_every_refusal_has_a_reason_or_its_own_caller(name: str) -> None:
    assert "error_reply" not in _code(name)
    for word in re.findall(r"refuse\('(\w+)'\)", _code(name)):
        if word not in OWN_WORDS:
            assert reason_of(word)
        assert word in own_text(name).partition("-- Errors: ")[2], f"{word} is not in the header"


@pytest.mark.parametrize("name", NAMES)
def test_only_scripts_that_may_write_are_timed(name: str) -> None:
    writes = "no-writes" not in own_text(name).partition("\n")[0]
    assert script(name).timed == (writes and name != "publish")
    assert script(name).source.count(b"redis.call('TIME')") == (
        script(name).timed or name in {"drain", "session_index"}
    )


@pytest.mark.parametrize(("name", "flag"), VARIANTS.items())
def test_a_variant_differs_in_its_flags_alone(name: str, flag: str) -> None:
    plain, other = script(name), variant(name)
    assert other.source.partition(b"\n")[0] == f"#!lua flags={flag}".encode()
    assert other.source.partition(b"\n")[2] == plain.source.partition(b"\n")[2]
    assert (other.name, other.timed) == (plain.name, plain.timed)
    assert other.sha1 != plain.sha1


def test_the_store_is_changed_through_steps_alone() -> None:
    package = Path(muster_hub.__file__).parent
    reading = {name for name in NAMES if "no-writes" in own_text(name).partition("\n")[0]}
    found = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text("utf-8")
        made = dict(re.findall(r'^(_\w+) = script\("(\w+)"\)', text, re.MULTILINE))
        calls = re.findall(r"store\.(?:run|begin)\(\s*(\w+)", text)
        found += [(path.name, call) for call in calls if made.get(call) not in reading]
    assert found == [("bus.py", "_PUBLISH"), ("steps.py", "step"), ("steps.py", "step"), ("steps.py", "step")]
