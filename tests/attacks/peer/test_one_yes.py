"""A trusted peer without a grant that wants more from one yes than its person gave.

The peer is the product's own agent, with an invite id that the attacker chose.
"""

import os
from types import SimpleNamespace

import pytest
from tests.integration.client.conftest import befriend, devices, open_agent, until

from muster_client import SessionRequest
from muster_client.device.invites import ACCEPTED, ENDED
from muster_client.errors import UnknownInvite
from muster_client.events import InviteAnswered, Invited, InviteEnded
from muster_client.sessions import calls
from muster_protocol.cards import Mode
from muster_protocol.frames import CancelInvite, Ok, Purpose
from muster_protocol.ids import InviteId
from muster_protocol.inviting import Inviting

__all__ = ["devices", "open_agent"]

CHOSEN = InviteId(b"chosen by a peer")


@pytest.mark.parametrize("mode", list(Mode))
async def test_one_yes_is_good_for_one_invite_only(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    peer, victim = devices("peer"), devices("victim")
    befriend(peer, victim, granted=False)
    attacker, agent = await open_agent(peer), await open_agent(victim)
    events, answers = agent.events(), agent.events()
    monkeypatch.setattr(calls, "os", SimpleNamespace(urandom=lambda _: CHOSEN))
    # The peer keeps the yes, and admits no device by it.
    with monkeypatch.context() as waiting:
        waiting.setattr(Inviting, "admit", lambda *_: None)
        first = await attacker.start_session(SessionRequest((victim.client,), purpose=Purpose.ASK))
        await agent.accept((await until(events, Invited)).invite.id)
        await until(events, InviteAnswered, reason=None)
    assert victim.invites.get(CHOSEN).outcome == ACCEPTED
    cancel = CancelInvite(id=0, session=first.id, client=victim.client, invite=CHOSEN)
    await attacker._context.link.ask(cancel, Ok)
    await attacker.start_session(SessionRequest((victim.client,), mode=mode, profile="more", purpose=Purpose.ASK))
    # Pushes are handled in order: once this invite is shown, the one before was handled.
    monkeypatch.setattr(calls, "os", os)
    third = await attacker.start_session(SessionRequest((victim.client,), purpose=Purpose.ASK))
    shown = (await until(events, Invited)).invite
    assert shown.session == third.id
    assert [entry.session for entry in agent.inbox()] == [third.id]
    assert agent.sessions() == ()
    assert victim.invites.get(CHOSEN).outcome == ENDED
    answered = await until(answers, InviteAnswered)
    assert answered.session == first.id
    await agent.decline(shown.id)
    assert (await until(answers, InviteAnswered)).session == third.id


async def test_a_yes_is_not_for_another_invite_than_the_person_was_shown(
    devices, open_agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer takes back the invite that is shown, and sends one for more whose id differs in its last byte only."""
    peer, victim = devices("peer"), devices("victim")
    befriend(peer, victim, granted=False)
    attacker, agent = await open_agent(peer), await open_agent(victim)
    events = agent.events()
    monkeypatch.setattr(calls, "os", SimpleNamespace(urandom=lambda _: CHOSEN))
    first = await attacker.start_session(SessionRequest((victim.client,), purpose=Purpose.ASK))
    shown = (await until(events, Invited)).invite
    await attacker._context.link.ask(CancelInvite(id=0, session=first.id, client=victim.client, invite=CHOSEN), Ok)
    await until(events, InviteEnded)
    monkeypatch.setattr(calls, "os", SimpleNamespace(urandom=lambda _: InviteId(CHOSEN[:-1] + b"!")))
    request = SessionRequest((victim.client,), mode=Mode.SYNCHRONIZE, profile="more", purpose=Purpose.ASK)
    await attacker.start_session(request)
    other = (await until(events, Invited)).invite
    assert other.number != shown.number
    for typed in (str(shown.number), shown.id, shown.id[:8], shown.id[:-1]):
        with pytest.raises(UnknownInvite):
            await agent.accept(typed)
    assert agent.inbox() == (other,)
