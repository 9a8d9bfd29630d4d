"""The device's memory of invites: an invite is its bytes, and one that ended is over."""

from tests.unit.client.device.test_decisions import invite

from muster_client import Device
from muster_client.device.invites import ACCEPTED, ENDED
from muster_protocol.cards import Mode
from muster_protocol.exchange import hash_of
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import sign


def test_an_invite_is_known_by_its_bytes(laptop: Device, nas: Device) -> None:
    body = invite(nas, laptop)
    signed = sign(body, nas.key)
    assert laptop.invites.remember(signed, body, None)
    remembered = laptop.invites.get(body.invite)
    assert remembered is not None
    assert remembered.hash == hash_of(Kind.INVITE, signed)
    assert remembered.hash != hash_of(Kind.INVITE, sign(invite(nas, laptop, mode=Mode.SYNCHRONIZE), nas.key))


def test_an_accepted_invite_that_ended_is_over(laptop: Device, nas: Device, clock) -> None:
    body = invite(nas, laptop)
    laptop.invites.remember(sign(body, nas.key), body, ACCEPTED)
    assert not laptop.invites.end(body.invite, ENDED), "it did not wait for the person any more"
    with Device.open(laptop.path, clock=clock) as again:
        remembered = again.invites.get(body.invite)
    assert remembered is not None
    assert (remembered.outcome, remembered.refused) == (ENDED, None)


def test_a_refused_invite_keeps_its_reason(laptop: Device, nas: Device) -> None:
    body = invite(nas, laptop)
    laptop.invites.remember(sign(body, nas.key), body, None)
    assert laptop.invites.end(body.invite, Reason.DECLINED), "it waited for the person"
    assert not laptop.invites.end(body.invite, ENDED)
    remembered = laptop.invites.get(body.invite)
    assert remembered is not None
    assert remembered.refused is Reason.DECLINED
