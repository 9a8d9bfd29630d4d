"""A thief who plants statements under a device's key: no one-time grant of restored data is used a second time."""

import shutil
from pathlib import Path

import pytest
from tests.attacks.disk_thief.test_planted_before_rotation import put_all, thief_of
from tests.integration.client.conftest import HubProcess
from tests.integration.hub.device import SigningDevice

from muster_client import Device, Hub
from muster_client.device import statements
from muster_client.device.clock import now_ms
from muster_client.views import GrantState
from muster_protocol.errors import Refused
from muster_protocol.governance import Trust, Untrust
from muster_protocol.ids import TimeMs
from muster_protocol.labels import Kind
from muster_protocol.serials import MAX_AHEAD_MS, Version
from muster_protocol.signed import read, statement_hash

KEPT = 2
"""Statements that a device keeps for its person here: fewer than else, so that the flood is short."""


def grant_states(device: Device) -> set[GrantState]:
    return {peer.grant.state for peer in device.peers.all() if peer.grant is not None}


async def test_a_grant_counts_as_used_where_a_flood_leaves_no_room_for_what_the_device_made_since(
    tmp_path: Path, victim: Device, hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "MAX_UNCONFIRMED", KEPT)
    friend, later, thief = SigningDevice(), SigningDevice(), thief_of(victim)
    victim.peers.trust(friend.client, friend.fingerprint, "friend")
    async with Hub.connect(victim):
        pass
    await put_all(thief, hub.url, *(thief.trust(SigningDevice()) for _ in range(KEPT)))
    async with Hub.connect(victim):
        assert len(victim.peers.unconfirmed()) == KEPT
    victim.peers.grant(friend.client, once=True)
    async with Hub.connect(victim):
        assert grant_states(victim) == {GrantState.LIVE}
    shutil.copytree(victim.path, tmp_path / "backup")
    victim.peers.trust(later.client, later.fingerprint, "later")
    async with Hub.connect(victim):
        pass
    with Device.open(tmp_path / "backup") as restored:
        async with Hub.connect(restored):
            assert later.client not in [one.peer for one in restored.peers.unconfirmed()]
            assert grant_states(restored) == {GrantState.USED}


async def test_a_grant_counts_as_used_where_what_the_device_lacks_is_dated_too_late_to_take(
    tmp_path: Path, hub: HubProcess
) -> None:
    """The owner's clock fell behind by two days."""
    friend, behind_ms = SigningDevice(), 0
    with Device.create(tmp_path / "late", hub_url=hub.url, clock=lambda: TimeMs(now_ms() - behind_ms)) as victim:
        victim.peers.trust(friend.client, friend.fingerprint, "friend")
        victim.peers.grant(friend.client, once=True)
        planted = Trust(
            client=victim.client,
            serial=victim.peers.newest_grant(friend.client).serial,
            peer=SigningDevice().client,
            peer_key=friend.fingerprint,
        )
        behind_ms = 2 * MAX_AHEAD_MS
        with pytest.raises(Refused, match="clock_ahead"):
            victim.apply_own(Kind.TRUST, thief_of(victim).sign(planted))
        assert grant_states(victim) == {GrantState.USED}


async def test_a_grant_counts_as_used_where_an_end_of_the_same_serial_takes_the_place_of_the_owners_own(
    victim: Device,
) -> None:
    friend, thief = SigningDevice(), thief_of(victim)
    victim.peers.trust(friend.client, friend.fingerprint, "friend")
    victim.peers.grant(friend.client, once=True)
    # One of two hashes is the higher by chance: the thief looks for a peer with whom its own is.
    while True:
        peer = SigningDevice()
        own = victim.peers.trust(peer.client, peer.fingerprint, "peer")
        serial = read(own, Trust).serial
        end = thief.sign(Untrust(client=victim.client, serial=serial, peer=peer.client))
        if statement_hash(Kind.UNTRUST, end.body) > statement_hash(Kind.TRUST, own.body):
            break
        victim.peers.untrust(peer.client)
    victim.apply_own(Kind.UNTRUST, end)
    assert Version(serial, statement_hash(Kind.UNTRUST, end.body)) in {
        one.version for one in victim.peers.ended_elsewhere()
    }
    assert grant_states(victim) == {GrantState.USED}
