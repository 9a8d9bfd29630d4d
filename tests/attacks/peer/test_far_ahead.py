"""A trusted peer that dates its invites far ahead, so that a device remembers them for as long."""

import pytest
from msgspec.structs import replace
from tests.unit.client.conftest import ManualClock, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts, call, host

from muster_protocol.exchange import CLOCK_SKEW_MS, DEFAULT_INVITE_MS, Answer, Invite
from muster_protocol.frames import Purpose, SendAnswer
from muster_protocol.ids import MAX_TIME_MS, TimeMs
from muster_protocol.reasons import Reason
from muster_protocol.signed import read, sign

__all__ = ["ann", "bob", "cat", "clock", "make_device"]


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_no_invite_is_remembered_for_years(
    ann: DeviceParts, bob: DeviceParts, clock: ManualClock, purpose: Purpose
) -> None:
    invite = read(await call(ann, await host(ann, bob), bob, purpose), Invite)
    at = TimeMs(MAX_TIME_MS - CLOCK_SKEW_MS)
    ahead = replace(invite, at=at, expires_at=TimeMs(at + DEFAULT_INVITE_MS))
    await bob.answering.on_invite(sign(ahead, ann.device.key))
    assert read(bob.hub.newest(SendAnswer).answer, Answer).reason is Reason.CLOCK_AHEAD
    assert bob.answering.inbox() == ()
    clock.go_on(2 * CLOCK_SKEW_MS + DEFAULT_INVITE_MS + 1)
    assert bob.device.invites.has_room(invite)
    assert bob.device.invites.get(invite.invite) is None
