"""A former friend whose invites a device accepted, and that has left no room for the answers."""

import traceback

from tests.unit.client.conftest import clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts, call, host

from muster_client.errors import HubRefused
from muster_protocol.exchange import Answer
from muster_protocol.frames import Ok, SendAnswer
from muster_protocol.reasons import Reason
from muster_protocol.signed import read

__all__ = ["ann", "bob", "cat", "clock", "make_device"]

WAITING = 5


async def test_answers_that_wait_are_taken_back_one_after_the_other(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts
) -> None:
    """None within another one: so many as can wait would end the agent. What others wait for is sent after them."""
    depths: list[int] = []

    def taken(_: SendAnswer) -> Ok:
        depths.append(sum(1 for _ in traceback.walk_stack(None)))
        return Ok(re=0)

    bob.hub.answers(SendAnswer, HubRefused(Reason.OVERLOADED))
    for _ in range(WAITING):
        await bob.answering.on_invite(await call(ann, await host(ann, bob), bob))
    await bob.answering.on_invite(await call(cat, await host(cat, bob), bob))
    bob.device.peers.untrust(ann.device.client)
    bob.hub.asked.clear()
    bob.hub.answers(SendAnswer, taken)
    await bob.answering.flush()
    *to_ann, to_cat = [read(asked.answer, Answer) for asked in bob.hub.asked if isinstance(asked, SendAnswer)]
    assert [answer.reason for answer in to_ann] == [Reason.NOT_MUTUALLY_TRUSTED] * WAITING
    assert (to_cat.recipient, to_cat.reason) == (cat.device.client, None)
    assert len({*depths[:-1]}) == 1
    bob.hub.asked.clear()
    await bob.answering.flush()
    assert bob.hub.asked == []
