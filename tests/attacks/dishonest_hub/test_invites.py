"""A hub that delivers invites which no honest hub would: what the called device answers, and to whom."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.integration.client.conftest import WAIT_S, befriend, free_port
from tests.integration.client.scripted_hub import scripted_hub
from websockets.asyncio.server import ServerConnection

from muster_client import Agent, Device
from muster_client.device.clock import now_ms
from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.exchange import MAX_INVITE_MS, Admission, Answer, Invite, hash_of
from muster_protocol.frames import (
    AdmissionPush,
    CardReply,
    GetCard,
    InvitePush,
    ListSessions,
    ListStatements,
    Ok,
    Purpose,
    Reply,
    Request,
    SendAnswer,
    SessionKind,
    SessionsReply,
    Statements,
    decode_frame,
    encode_frame,
)
from muster_protocol.ids import Fingerprint, InviteId, Seed, TimeMs, session_id
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed, sign, verify

SEED = Seed(bytes(16))


@dataclass
class HubScript:
    """A hub that pushes these admissions and invites to the device, and keeps its answers."""

    peer: Device
    invites: list[Signed]
    answers: asyncio.Queue[Signed] = field(default_factory=asyncio.Queue)
    admissions: list[Signed] = field(default_factory=list)

    async def play(self, connection: ServerConnection) -> None:
        for number, admission in enumerate(self.admissions):
            await connection.send(encode_frame(AdmissionPush(push=f"admission {number}", admission=admission)))
        for number, invite in enumerate(self.invites):
            await connection.send(encode_frame(InvitePush(push=str(number), invite=invite)))
        while True:
            request = decode_frame(await connection.recv(decode=False))
            assert isinstance(request, Request)
            reply: Reply = Ok(re=request.id)
            match request:
                case ListStatements():
                    reply = Statements(re=request.id, statements=(), more=False)
                case ListSessions():
                    reply = SessionsReply(re=request.id, sessions=(), more=False)
                case GetCard():
                    reply = CardReply(re=request.id, card=self.peer.card())
                case SendAnswer():
                    self.answers.put_nowait(request.answer)
            await connection.send(encode_frame(reply))

    async def answer(self) -> Signed:
        async with asyncio.timeout(WAIT_S):
            return await self.answers.get()


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[tuple[Device, Device, Device, int]]:
    """A device, a peer that it trusts, and a device that trusts it and that it does not trust."""
    port = free_port()
    with ExitStack() as stack:
        device, peer, stranger = (
            stack.enter_context(Device.create(tmp_path / name, hub_url=f"ws://127.0.0.1:{port}"))
            for name in ("device", "peer", "stranger")
        )
        befriend(device, peer)
        stranger.peers.trust(device.client, device.fingerprint, "device")
        yield device, peer, stranger, port


def invite_from(peer: Device, device: Device, **changes: object) -> Invite:
    now = now_ms()
    body = Invite(
        session=session_id(peer.client, SEED),
        invite=InviteId(os.urandom(16)),
        sender=peer.client,
        recipient=device.client,
        sender_key=peer.fingerprint,
        recipient_key=device.fingerprint,
        purpose=Purpose.AUTO,
        mode=Mode.JOIN,
        profile=None,
        protocol=ProtocolRange(1, 1),
        at=now,
        kind=SessionKind.MESH,
        seed=SEED,
        expires_at=TimeMs(now + 60_000),
    )
    return replace(body, **changes)


async def test_a_stranger_learns_nothing_from_an_answer(devices) -> None:
    device, peer, stranger, port = devices
    unsigned = [
        sign(invite_from(stranger, device), stranger.key),
        sign(invite_from(stranger, device, recipient_key=Fingerprint(bytes(32))), stranger.key),
        # In the peer's name: under its own key, and under the peer's name for its key.
        sign(invite_from(peer, device), stranger.key),
        replace(sign(invite_from(peer, device), stranger.key), signer=peer.fingerprint),
        # And by one who has this device's own key: that does not make it the peer.
        sign(invite_from(peer, device), device.key),
        sign(invite_from(peer, device, sender_key=device.fingerprint), device.key),
        sign(invite_from(peer, stranger), peer.key),
    ]
    good = sign(invite_from(peer, device), peer.key)
    script = HubScript(peer, [*unsigned, good])
    async with scripted_hub(port, script.play), Agent.open(device, control=False):
        # Pushes are handled in their order, so what comes first would have been answered first.
        answer = verify(await script.answer(), device.key.public, Answer)
    assert (answer.recipient, answer.reason) == (peer.client, None)
    assert script.answers.empty()


async def test_a_fault_in_a_peers_own_invite_is_refused_at_once(devices) -> None:
    device, peer, _, port = devices
    other = Fingerprint(bytes(32))
    long_ms = TimeMs(now_ms() + 2 * MAX_INVITE_MS)
    faults: list[tuple[Reason, dict[str, object]]] = [
        (Reason.KEY_MISMATCH, {"recipient_key": other}),
        (Reason.MISMATCH, {"sender_key": other}),
        (Reason.MISMATCH, {"seed": Seed(bytes([1]) * 16)}),
        (Reason.MALFORMED, {"expires_at": long_ms}),
        (Reason.MALFORMED, {"expires_at": TimeMs(0), "purpose": Purpose.ASK}),
    ]
    bodies = [invite_from(peer, device, **changes) for _, changes in faults]
    script = HubScript(peer, [sign(body, peer.key) for body in bodies])
    async with scripted_hub(port, script.play), Agent.open(device, control=False) as agent:
        for body, (reason, _) in zip(bodies, faults, strict=True):
            answer = verify(await script.answer(), device.key.public, Answer)
            assert (answer.invite, answer.reason, answer.receive_key) == (body.invite, reason, None)
            assert (answer.sender_key, answer.recipient_key) == (device.fingerprint, body.sender_key)
        assert agent.inbox() == ()
    # The lifetime that such an invite claims does not decide how long it is remembered.
    kept = device.invites.get(bodies[3].invite)
    assert kept is not None
    assert kept.expires_ms - kept.received_ms == MAX_INVITE_MS


async def test_a_forged_admission_ends_no_invite_of_a_device_that_restarted(devices) -> None:
    """A new process has no receive key for it, and tells that to its creator only: not to one that made it up."""
    device, peer, _, port = devices
    device.peers.grant(peer.client, profiles=None)
    first, second = invite_from(peer, device), invite_from(peer, device)
    script = HubScript(peer, [sign(first, peer.key)])
    async with scripted_hub(port, script.play):
        async with Agent.open(device, control=False):
            answer = await script.answer()
        admission = Admission(
            session=first.session,
            invite=first.invite,
            sender=peer.client,
            recipient=device.client,
            sender_key=peer.fingerprint,
            recipient_key=device.fingerprint,
            purpose=first.purpose,
            mode=first.mode,
            profile=first.profile,
            protocol=first.protocol,
            at=now_ms(),
            invite_hash=hash_of(Kind.INVITE, script.invites[0]),
            answer_hash=hash_of(Kind.ANSWER, answer),
            epoch=answer,
            sealed=bytes(1168),
        )
        unsigned = replace(sign(admission, peer.key), signature=bytes(64))
        script.admissions = [unsigned, sign(admission, device.key)]
        script.invites = [sign(second, peer.key)]
        async with Agent.open(device, control=False):
            answer = await script.answer()
        found = verify(answer, device.key.public, Answer)
        assert (found.invite, found.reason) == (second.invite, None)
        # The creator's own word does end it.
        script.admissions, script.invites = [sign(admission, peer.key)], []
        async with Agent.open(device, control=False):
            answer = await script.answer()
        found = verify(answer, device.key.public, Answer)
        assert (found.invite, found.reason) == (first.invite, Reason.CANNOT_OPEN)
