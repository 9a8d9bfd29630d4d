"""All that a hub's store holds, so that a test can tell what an attack left behind."""

from collections.abc import Sequence
from typing import cast

from tests.integration.hub.desk import Desk

from muster_hub.store.adapter import Word

_DUMP_ALL = """
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  all[#all + 1] = key
  local is_hash = redis.call('TYPE', key).ok == 'hash'
  all[#all + 1] = is_hash and redis.call('HGETALL', key) or redis.call('DUMP', key)
end
return all
"""

_KEEP_ALL = """
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  all[#all + 1] = key
  all[#all + 1] = math.max(0, redis.call('PEXPIRETIME', key))
  all[#all + 1] = redis.call('DUMP', key)
end
return all
"""

_PUT_BACK = """
redis.call('FLUSHDB')
for i = 1, #ARGV, 3 do
  redis.call('RESTORE', ARGV[i], ARGV[i + 1], ARGV[i + 2], 'ABSTTL')
end
"""

Stored = dict[bytes, object]
"""The value of each key, by its name: the fields of a hash, since a read may change their order; else its dump."""


async def stored(desk: Desk) -> Stored:
    """Return everything in the store of a desk."""
    flat = await desk.store.ask(b"EVAL", _DUMP_ALL, 0)
    assert isinstance(flat, list)
    return {name: _value(value) for name, value in zip(flat[::2], flat[1::2], strict=True) if isinstance(name, bytes)}


def _value(value: object) -> object:
    return dict(zip(value[::2], value[1::2], strict=True)) if isinstance(value, list) else value


def changed(before: Stored, after: Stored) -> set[bytes]:
    """Return the names of the keys that came, went or have another value."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


async def keep(desk: Desk) -> Sequence[Word]:
    """Return everything in the store of a desk as ``put_back`` takes it."""
    return cast("list[Word]", await desk.store.ask(b"EVAL", _KEEP_ALL, 0))


async def put_back(desk: Desk, kept: Sequence[Word]) -> None:
    """Have the store hold again what it held then, and nothing else."""
    await desk.store.ask(b"EVAL", _PUT_BACK, 0, *kept)
