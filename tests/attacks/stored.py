"""All that a hub's store holds, so that a test can tell what an attack left behind."""

from tests.integration.hub.desk import Desk

Stored = dict[bytes, object]
"""The value of each key, by its name: the bytes of its dump."""


async def stored(desk: Desk) -> Stored:
    """Return everything in the store of a desk."""
    names = await desk.store.ask(b"KEYS", b"*")
    assert isinstance(names, list)
    return {name: await desk.store.ask(b"DUMP", name) for name in names if isinstance(name, bytes)}


def changed(before: Stored, after: Stored) -> set[bytes]:
    """Return the names of the keys that came, went or have another value."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
