"""A device's own decision, before it calls and before it answers."""

import pytest
from tests.unit.client.conftest import START

from muster_client import Device, SessionRequest
from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.codec import encode
from muster_protocol.exchange import Invite
from muster_protocol.frames import Purpose, SessionKind
from muster_protocol.ids import Fingerprint, InviteId, Seed, Signature, TimeMs, session_id
from muster_protocol.reasons import Reason
from muster_protocol.signed import Signed

SEED = Seed(bytes(16))


def spend(device: Device, called: Invite, standing: Reason | None = None) -> Reason | None:
    return device.spend(Signed(encode(called), Fingerprint(bytes(32)), Signature(bytes(64))), called, standing)


def request(peer: Device, *, mode: Mode = Mode.JOIN, purpose: Purpose = Purpose.AUTO) -> SessionRequest:
    return SessionRequest((peer.client,), mode=mode, purpose=purpose)


def invite(
    sender: Device, to: Device, *, mode: Mode = Mode.JOIN, number: int = 1, profile: str | None = None
) -> Invite:
    return Invite(
        session=session_id(sender.client, SEED),
        invite=InviteId(number.to_bytes(16)),
        sender=sender.client,
        recipient=to.client,
        sender_key=sender.fingerprint,
        recipient_key=to.fingerprint,
        purpose=Purpose.AUTO,
        mode=mode,
        profile=profile,
        protocol=ProtocolRange(1, 1),
        at=START,
        kind=SessionKind.MESH,
        seed=SEED,
        expires_at=TimeMs(START + 300_000),
    )


def test_calling_needs_own_trust_and_for_automatic_joins_an_own_grant(laptop: Device, nas: Device) -> None:
    assert laptop.decide_outgoing(request(nas), nas.client).reason is Reason.NOT_TRUSTED
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    assert laptop.decide_outgoing(request(nas), nas.client).reason is Reason.GRANT_MISSING
    assert laptop.decide_outgoing(request(nas, purpose=Purpose.ASK), nas.client).reason is None
    laptop.peers.grant(nas.client)
    assert laptop.decide_outgoing(request(nas), nas.client).reason is None
    assert laptop.decide_outgoing(request(nas, mode=Mode.SYNCHRONIZE), nas.client).reason is Reason.MODE_NOT_GRANTED


@pytest.mark.parametrize("standing", [Reason.CLONE_SUSPECTED])
def test_a_suspected_clone_joins_nothing_by_itself(laptop: Device, nas: Device, standing: Reason) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.grant(nas.client)
    assert laptop.decide_outgoing(request(nas), nas.client, standing).reason is standing
    assert laptop.decide_outgoing(request(nas, purpose=Purpose.ASK), nas.client, standing).reason is None
    assert spend(laptop, invite(nas, laptop), standing) is standing


def test_answering_yes_needs_all_that_was_granted(laptop: Device, nas: Device, clock) -> None:
    assert spend(laptop, invite(nas, laptop)) is Reason.NOT_MUTUALLY_TRUSTED
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    assert spend(laptop, invite(nas, laptop)) is Reason.GRANT_MISSING
    laptop.peers.grant(nas.client, mode=Mode.INVENTORY, profiles=["home"], lasts_ms=1000)
    assert spend(laptop, invite(nas, laptop, profile="home")) is None
    assert spend(laptop, invite(nas, laptop)) is Reason.PROFILE_NOT_GRANTED
    assert spend(laptop, invite(nas, laptop, profile="work")) is Reason.PROFILE_NOT_GRANTED
    assert spend(laptop, invite(nas, laptop, mode=Mode.SYNCHRONIZE, profile="home")) is Reason.MODE_NOT_GRANTED
    clock.go_on(1000)
    assert spend(laptop, invite(nas, laptop, profile="home")) is Reason.GRANT_EXPIRED
    laptop.peers.revoke(nas.client)
    assert spend(laptop, invite(nas, laptop, profile="home")) is Reason.GRANT_REVOKED


def test_26_one_use_is_spent_on_one_invite_and_stays_so(laptop: Device, nas: Device, clock) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.grant(nas.client, once=True)
    assert spend(laptop, invite(nas, laptop)) is None
    assert spend(laptop, invite(nas, laptop)) is Reason.GRANT_USED, "the same invite again finds it spent too"
    with Device.open(laptop.path, clock=clock) as again:
        assert spend(again, invite(nas, laptop, number=2)) is Reason.GRANT_USED
    laptop.peers.grant(nas.client, once=True)
    assert spend(laptop, invite(nas, laptop, number=3)) is None


def test_a_grant_is_for_the_key_that_it_named(laptop: Device, nas: Device) -> None:
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    laptop.peers.grant(nas.client)
    nas.rotate()
    assert spend(laptop, invite(nas, laptop)) is Reason.KEY_MISMATCH
    laptop.peers.trust(nas.client, nas.fingerprint, "nas")
    assert spend(laptop, invite(nas, laptop)) is Reason.GRANT_MISSING
