"""All that a hub's store holds, so that a test can tell what an attack left behind."""

from tests.integration.hub.desk import Desk

_DUMP_ALL = """
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  all[#all + 1] = key
  all[#all + 1] = redis.call('DUMP', key)
end
return all
"""

Stored = dict[bytes, object]
"""The value of each key, by its name: the bytes of its dump."""


async def stored(desk: Desk) -> Stored:
    """Return everything in the store of a desk."""
    flat = await desk.store.ask(b"EVAL", _DUMP_ALL, 0)
    assert isinstance(flat, list)
    return {name: value for name, value in zip(flat[::2], flat[1::2], strict=True) if isinstance(name, bytes)}


def changed(before: Stored, after: Stored) -> set[bytes]:
    """Return the names of the keys that came, went or have another value."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
