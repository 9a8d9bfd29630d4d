"""A hub that replies to a question about one session with another one: the device takes nothing from it."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from tests.attacks.dishonest_hub.test_terminal import OTHER, run
from tests.integration.client.conftest import free_port
from tests.integration.client.scripted_hub import replying, scripted_hub

from muster_client import Device, Hub
from muster_client.device.clock import now_ms
from muster_client.errors import ReplyUnreadable, Trouble
from muster_protocol.cards import Mode
from muster_protocol.frames import (
    DecisionReply,
    GetSession,
    ListSessions,
    Member,
    MemberState,
    Ok,
    Reply,
    Request,
    SessionKind,
    SessionReply,
    SessionsReply,
    SessionSummary,
    Why,
)
from muster_protocol.ids import ClientId, Fingerprint, SessionId, TimeMs
from muster_protocol.reasons import Reason

CREATOR = ClientId(OTHER)
ASKED, SHOWN, OWN = SessionId("a" * 32), SessionId("b" * 32), SessionId("c" * 32)
LIFE_MS = 3_600_000


def reply_to(request: Request) -> Reply:
    now = now_ms()
    ends = TimeMs(now + LIFE_MS)
    if isinstance(request, ListSessions):
        listed = [
            SessionSummary(name, CREATOR, Mode.SYNCHRONIZE, None, True, now, ends, (CREATOR,)) for name in (ASKED, OWN)
        ]
        return SessionsReply(re=request.id, sessions=tuple(listed), more=False)
    if isinstance(request, GetSession):
        return SessionReply(
            re=request.id,
            session=request.session if request.session == OWN else SHOWN,
            creator=CREATOR,
            mode=Mode.SYNCHRONIZE,
            profile=None,
            kind=SessionKind.MESH,
            open=False,
            created_at=now,
            ends_at=ends,
            epoch=1,
            members=(Member(CREATOR, MemberState.OUT, now, Reason.DECLINED),),
            epochs=(),
            joined=(),
            departures=(),
            sealed=None,
            admission=None,
        )
    if isinstance(request, Why):
        return DecisionReply(re=request.id, reason=None, trace=())
    return Ok(re=request.id)


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Device]:
    port = free_port()
    with Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as device:
        async with scripted_hub(port, replying(reply_to)):
            yield device


async def test_a_reply_about_another_session_is_no_reply(device: Device) -> None:
    async with Hub.connect(device) as hub:
        assert (await hub.session(SHOWN)).session == SHOWN
        with pytest.raises(ReplyUnreadable):
            await hub.session(ASKED)


async def test_no_other_session_is_shown_for_the_one_that_a_person_asks_for(device: Device) -> None:
    shown = await run(device.path, "session", "show", ASKED)
    assert Trouble.REPLY_UNREADABLE in await run(device.path, "session", "show", ASKED, "--json")
    assert SHOWN[:8] not in shown


async def test_what_the_hub_alone_says_of_a_session_is_shown_as_its_word(device: Device) -> None:
    shown = await run(device.path, "session", "show", OWN)
    (row,) = (line for line in shown.splitlines() if line.startswith(CREATOR[:8]))
    assert row.endswith("(the hub says)"), "a reason that only a member itself may give"
    (member,) = msgspec.json.decode(await run(device.path, "session", "show", OWN, "--json"))["session"]["members"]
    assert (member["said_by"], member["state"], member["reason"]) == ("hub", "out", None)


async def test_a_yes_that_the_hub_alone_says_is_shown_as_its_word(device: Device) -> None:
    device.peers.trust(CREATOR, Fingerprint(bytes(32)), "nas")
    said = await run(device.path, "why", "nas", "me")
    assert "yes, the hub says: nas can call this device now." in said.splitlines()
