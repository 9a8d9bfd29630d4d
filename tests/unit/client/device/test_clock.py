"""A device whose clock went back, as that of a machine without a battery does when it starts."""

from collections.abc import Callable

import pytest

from muster_client.device.device import Device
from muster_client.device.session_request import SessionRequest
from muster_client.device.statements import Topic
from muster_client.views import GrantState
from muster_protocol.errors import Refused
from muster_protocol.governance import Trust, Untrust
from muster_protocol.ids import ClientId, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.serials import MAX_BEHIND_MS
from muster_protocol.signed import read, sign

DAY_MS = 24 * 3600 * 1000


def trusting(device: Device, peer: Device) -> Device:
    device.peers.trust(peer.client, peer.fingerprint, "nas")
    device.peers.grant(peer.client, lasts_ms=30 * DAY_MS)
    device.note_hub_time(device.clock())
    return device


def call_reason(device: Device, peer: ClientId) -> Reason | None:
    return device.decide_outgoing(SessionRequest((peer,)), peer).reason


@pytest.mark.parametrize("back_ms", [MAX_BEHIND_MS + 1, 30 * DAY_MS, None], ids=["a day", "a month", "to 1970"])
def test_a_clock_that_went_back_brings_no_grant_back(laptop: Device, nas: Device, clock, back_ms: int | None) -> None:
    trusting(laptop, nas)
    clock.go_on(40 * DAY_MS)
    laptop.note_hub_time(laptop.clock())
    assert call_reason(laptop, nas.client) is Reason.GRANT_EXPIRED
    right = clock.now
    clock.now = TimeMs(0 if back_ms is None else right - back_ms)
    assert call_reason(laptop, nas.client) is Reason.CLOCK_BEHIND
    (peer,) = laptop.peers.all()
    assert peer.grant is not None
    assert peer.grant.state is GrantState.EXPIRED
    for make in (laptop.peers.grant, laptop.peers.renew):
        with pytest.raises(Refused, match="clock_behind"):
            make(nas.client)
    clock.now = right
    laptop.peers.renew(nas.client)
    assert call_reason(laptop, nas.client) is None


def test_a_clock_that_was_set_right_by_a_little_ends_nothing(laptop: Device, nas: Device, clock) -> None:
    trusting(laptop, nas)
    clock.go_on(DAY_MS)
    laptop.note_hub_time(laptop.clock())
    clock.go_on(-DAY_MS)
    assert call_reason(laptop, nas.client) is None
    assert not laptop.peers.clock_behind


def test_neither_a_hub_nor_a_clock_far_ahead_ends_grants_alone(laptop: Device, nas: Device, clock) -> None:
    trusting(laptop, nas)
    right = clock.now
    laptop.note_hub_time(TimeMs(2**53 - 1))
    assert call_reason(laptop, nas.client) is None
    clock.go_on(20 * 365 * DAY_MS)
    assert call_reason(laptop, nas.client) is Reason.GRANT_EXPIRED
    clock.now = right
    assert call_reason(laptop, nas.client) is None


def test_a_clock_that_is_wrong_before_the_first_hub_is_measured_by_that_hub(nas: Device, make_device, clock) -> None:
    right = clock.now
    clock.now = TimeMs(right + 20 * 365 * DAY_MS)
    early = make_device("early")
    early.note_hub_time(right)
    clock.now = right
    assert not early.peers.clock_behind


def test_a_device_without_a_battery_signs_above_its_own_serials(laptop: Device, nas: Device, clock) -> None:
    trusting(laptop, nas)
    before = max(held.serial for held in laptop.unpublished())
    clock.now = TimeMs(0)
    laptop.peers.revoke(nas.client)
    laptop.peers.untrust(nas.client)
    laptop.rotate()
    serials = [held.serial for held in laptop.unpublished()]
    assert min(serials) > before
    assert len(serials) == len(set(serials))


def test_a_device_without_a_battery_takes_its_own_statements_back(
    laptop: Device, nas: Device, clock, make_device: Callable[[str], Device]
) -> None:
    """Its clock says 1970, and yet what the hub shows of it is not taken for dated ahead: it waits for the person."""
    trusting(laptop, nas)
    clock.go_on(1000)
    other = make_device("other")
    held = read(laptop.peers.trust(nas.client, other.fingerprint, "nas"), Trust)
    planted = sign(
        Trust(client=laptop.client, serial=held.serial, peer=other.client, peer_key=other.fingerprint), laptop.key
    )
    clock.now = TimeMs(0)
    laptop.apply_own(Kind.TRUST, planted)
    assert [one.peer for one in laptop.peers.unconfirmed()] == [other.client]
    assert other.client not in laptop.peers.pins()
    assert Topic.TRUST in {one.topic for one in laptop.unpublished()}


def test_an_untrust_is_above_the_answer_also_where_the_clock_went_back(laptop: Device, nas: Device, clock) -> None:
    """The creator takes an untrust from before the answer for the end of an earlier membership."""
    trusting(laptop, nas)
    clock.go_on(1000)
    answered = laptop.date()
    clock.now = TimeMs(0)
    assert read(laptop.peers.untrust(nas.client), Untrust).serial > answered
