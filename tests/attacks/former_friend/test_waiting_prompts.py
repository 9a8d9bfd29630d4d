"""A former friend whose invites wait for the person of a device that trusts it no more."""

import pytest
from tests.unit.client.conftest import clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts, call, host

from muster_client.device.invites import MAX_INBOX_PER_SENDER
from muster_protocol.frames import Purpose

__all__ = ["ann", "bob", "cat", "clock", "make_device"]


@pytest.mark.parametrize("other_key", [False, True])
async def test_the_person_of_a_device_is_asked_no_more_by_a_former_friend(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, other_key: bool
) -> None:
    """Also not once it is trusted again: the person trusts it then for what it asks from then on."""
    waiting = [await call(ann, await host(ann, bob), bob, Purpose.ASK) for _ in range(MAX_INBOX_PER_SENDER)]
    for invite in waiting:
        await bob.answering.on_invite(invite)
    await bob.answering.on_invite(await call(cat, await host(cat, bob), bob, Purpose.ASK))
    assert len(bob.answering.inbox()) == MAX_INBOX_PER_SENDER + 1
    friend, name = ann.device, "ann"
    if other_key:
        bob.device.peers.trust(friend.client, cat.device.fingerprint, name)
    else:
        bob.device.peers.untrust(friend.client)
    assert [entry.creator for entry in bob.answering.inbox()] == [cat.device.client]
    bob.device.peers.trust(friend.client, friend.fingerprint, name)
    for invite in waiting:
        await bob.answering.on_invite(invite)
    assert [entry.creator for entry in bob.answering.inbox()] == [cat.device.client]
