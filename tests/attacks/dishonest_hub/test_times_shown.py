"""A hub that says when another device's session ends: it is shown as the hub's word, and never beyond the longest."""

import pytest
from tests.attacks.dishonest_hub.test_members_shown import Room, room
from tests.unit.client.conftest import START, clock, make_device
from tests.unit.client.sessions.conftest import ann, bob, cat
from tests.unit.client.sessions.parts import DeviceParts
from tests.unit.client.sessions.test_membership import reply_of, row, update

from muster_client.cli.commands.session import _show_all, _show_session
from muster_client.cli.output.display import Output
from muster_client.cli.output.documents import SessionFields
from muster_client.cli.output.nicknames import Nicknames
from muster_client.cli.output.session_views import from_agent
from muster_client.sessions.session import Session
from muster_protocol.cards import Mode
from muster_protocol.frames import MAX_SESSION_MS, GetSession, SessionSummary
from muster_protocol.ids import MAX_TIME_MS, TimeMs

__all__ = ["ann", "bob", "cat", "clock", "make_device", "room"]

NEVER = TimeMs(MAX_TIME_MS)


def shown(parts: DeviceParts, session: Session, ends_at: TimeMs) -> SessionFields:
    """Return a session as the agent's device shows it beside a hub that lists it with this end."""
    listed = SessionSummary(session.id, session.creator, Mode.JOIN, None, True, TimeMs(0), ends_at, ())
    return from_agent(session.view(), Nicknames(parts.device), parts.device.client, listed)


async def test_no_end_that_the_hub_tells_is_shown_as_this_devices_word(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    reply = reply_of(room.at_ann, row(room.ann), row(room.cat), row(room.bob), ends_at=NEVER)
    room.cat.hub.answers(GetSession, reply)
    await room.cat.pushes.handle(room.cat.connection, update(room.at_ann.id, "changed"))
    latest, sooner = shown(room.cat, room.at_cat, NEVER), shown(room.cat, room.at_cat, TimeMs(START + 5))
    assert (latest.ends_at_ms, latest.times_said_by) == (START + MAX_SESSION_MS, "hub")
    assert (sooner.ends_at_ms, sooner.times_said_by) == (START + 5, "hub")
    names = Nicknames(room.cat.device)
    _show_session(latest, names, Output())
    _show_all((latest,), names, Output())
    assert capsys.readouterr().out.count(" (the hub says)\n") == 2


async def test_no_time_of_the_hub_is_shown_of_an_own_session(room: Room) -> None:
    own = shown(room.ann, room.at_ann, NEVER)
    assert (own.created_at_ms, own.ends_at_ms, own.times_said_by) == (START, room.at_ann.ends_at, "device")
