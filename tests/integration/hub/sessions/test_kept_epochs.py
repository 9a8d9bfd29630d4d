"""What the hub keeps of the epochs of a long session."""

from tests.integration.hub.desk import Desk
from tests.integration.hub.stage import Actor, call_in

from muster_hub.store import keys

FIELDS_PER_EPOCH = 3


async def _fill(desk: Desk, epochs: bytes, count: int) -> None:
    """Store so many epochs beside the one that is there, as later ones."""
    for number in range(1_000, 1_000 + count):
        name = b"%d" % number
        await desk.store.ask(b"HSET", epochs, name, b"epoch", b"n:" + name, name, b"h:" + name, name)


async def test_of_more_epochs_than_are_kept_the_oldest_goes(pair: tuple[Actor, Actor], desk: Desk) -> None:
    ann, bob = pair
    session = await ann.create()
    epochs, first = keys.epochs(session), ann.inviting.epoch
    await _fill(desk, epochs, keys.MAX_EPOCHS_KEPT - 1)
    fields = [b"1", b"n:1", b"h:" + first.hash]
    assert await desk.store.ask(b"HLEN", epochs) == keys.MAX_EPOCHS_KEPT * FIELDS_PER_EPOCH
    assert [await desk.store.ask(b"HEXISTS", epochs, field) for field in fields] == [1, 1, 1]
    await call_in(ann, bob)
    assert await desk.store.ask(b"HLEN", epochs) == keys.MAX_EPOCHS_KEPT * FIELDS_PER_EPOCH
    assert [await desk.store.ask(b"HEXISTS", epochs, field) for field in fields] == [0, 0, 0]
    newest = await desk.store.ask(b"HGET", epochs, b"n:2")
    assert newest == ann.inviting.epoch.hash
