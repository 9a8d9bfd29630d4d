"""A hub that shows a member epochs that it missed, and never the key of the newest."""

import pytest
from tests.unit.client.conftest import clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat, dan
from tests.unit.client.sessions.parts import DeviceParts, host, join
from tests.unit.client.sessions.test_membership import endings, next_epoch, reply_of, row, update

from muster_client.sessions.hosted import HostedSession
from muster_client.sessions.membership import MAX_ROUNDS
from muster_protocol.frames import GetSession, ResumeSession
from muster_protocol.reasons import Reason, Sayer
from muster_protocol.signed import Signed

__all__ = ["ann", "bob", "cat", "clock", "dan", "make_device"]


@pytest.fixture
async def hosted(ann: DeviceParts, bob: DeviceParts) -> HostedSession:
    session = await host(ann, bob)
    await join(ann, session, bob)
    return session


async def missed(ann: DeviceParts, session: HostedSession, *others: DeviceParts) -> list[Signed]:
    """Admit others, of which BOB hears nothing; return the epochs."""
    return [(await next_epoch(ann, session, other)).epoch for other in others]


async def test_a_member_that_is_shown_no_key_says_so_and_asks_to_be_admitted_again(
    ann: DeviceParts, bob: DeviceParts, cat: DeviceParts, hosted: HostedSession
) -> None:
    epochs = await missed(ann, hosted, cat)
    shown = (row(ann), row(bob), row(cat))
    bob.hub.answers(
        GetSession,
        lambda request: reply_of(hosted, *shown, epoch=9, epochs=tuple(epochs) if request.after == 2 else ()),
    )
    await bob.pushes.handle(bob.connection, update(hosted.id, "changed"))
    assert endings(bob) == [(Reason.CANNOT_OPEN, Sayer.DEVICE)]
    assert bob.hub.newest(ResumeSession).session == hosted.id
    again = await join(ann, hosted, bob)
    assert again.export_key("files") == hosted.export_key("files")


async def test_a_member_that_is_shown_epochs_without_end_says_so(
    ann: DeviceParts,
    bob: DeviceParts,
    cat: DeviceParts,
    dan: DeviceParts,
    hosted: HostedSession,
) -> None:
    epochs = await missed(ann, hosted, *[cat, dan] * MAX_ROUNDS)
    shown = (row(ann), row(bob), row(cat), row(dan))

    def one_by_one(request: GetSession) -> object:
        return reply_of(hosted, *shown, epochs=(epochs[request.after - 2],))

    bob.hub.answers(GetSession, one_by_one)  # type: ignore[arg-type]
    await bob.pushes.handle(bob.connection, update(hosted.id, "changed"))
    assert bob.hub.count(GetSession) == MAX_ROUNDS
    assert endings(bob) == [(Reason.CANNOT_OPEN, Sayer.DEVICE)]
    assert bob.hub.count(ResumeSession) == 1
