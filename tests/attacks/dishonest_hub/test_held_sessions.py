"""A hub that bounds no sessions, with a creator whose automatic joins a device permits: its agent holds no more."""

import pytest
from tests.unit.client.conftest import clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts, admit, call, host, join

from muster_client.sessions.hosted import HostedSession
from muster_protocol.exchange import Answer
from muster_protocol.frames import SendAnswer
from muster_protocol.reasons import Reason
from muster_protocol.signed import read

__all__ = ["ann", "bob", "cat", "clock", "make_device"]


async def declined(creator: DeviceParts, session: HostedSession, target: DeviceParts) -> bool:
    """Admit a device; return whether it destroys the key and answers that it declines."""
    held = target.membership.sessions()
    await target.answering.on_invite(await call(creator, session, target))
    request = await admit(creator, session, target.hub.newest(SendAnswer).answer)
    await target.membership.on_admission(request.admissions[0])
    said = read(target.hub.newest(SendAnswer).answer, Answer).reason
    return target.membership.sessions() == held and said is Reason.DECLINED


async def test_one_creator_has_no_more_sessions_in_memory_than_its_share(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster_client.sessions.context.MAX_HELD_PER_CREATOR", 2)
    first, _ = [await join(ann, await host(ann, bob), bob) for _ in range(2)]
    assert await declined(ann, await host(ann, bob), bob)
    await join(cat, await host(cat, bob), bob)
    await first.leave()
    await join(ann, await host(ann, bob), bob)
    assert len(bob.membership.sessions()) == 3


async def test_all_creators_together_have_no_more_sessions_in_memory_than_there_are_places(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster_client.sessions.context.MAX_HELD", 2)
    await join(ann, await host(ann, bob), bob)
    session = await host(cat, bob)
    await join(cat, session, bob)
    assert await declined(ann, await host(ann, bob), bob)
    await join(cat, session, bob)
    assert len(bob.membership.sessions()) == 2, "one that it is in already needs no place"
