"""A copy of a device's key that dates its statements ahead cannot keep up what the owner takes back."""

from pathlib import Path

import pytest
from tests.attacks.disk_thief.test_planted_before_rotation import card_seen_by, put_all, thief_of
from tests.integration.client.conftest import HubProcess
from tests.integration.hub.device import SigningDevice

from muster_client import Agent, Device, Hub
from muster_client.device.clock import now_ms
from muster_protocol.frames import CardReply, Error
from muster_protocol.governance import Trust
from muster_protocol.ids import Serial, TimeMs
from muster_protocol.labels import Kind
from muster_protocol.serials import MAX_AHEAD_MS
from muster_protocol.signed import read

BEHIND_MS = 3 * MAX_AHEAD_MS


@pytest.mark.parametrize("kind", [Kind.UNTRUST, Kind.REVOCATION])
@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("behind_ms", [0, BEHIND_MS], ids=["right", "behind"])
async def test_what_the_owner_takes_back_ends_what_a_copy_dated_later(
    tmp_path: Path, hub: HubProcess, kind: Kind, connected: bool, behind_ms: int
) -> None:
    friend = SigningDevice()
    with Device.create(tmp_path / "victim", hub_url=hub.url, clock=lambda: TimeMs(now_ms() - behind_ms)) as victim:
        victim.peers.trust(friend.client, friend.fingerprint, "friend")
        victim.peers.grant(friend.client)
        async with Agent.open(victim) as agent:
            await agent.connected()
            thief = thief_of(victim)
            thief.serial = now_ms() + MAX_AHEAD_MS - 3_600_000
            planted = thief.trust(friend) if kind is Kind.UNTRUST else thief.grant(friend)
            await put_all(thief, hub.url, planted)
            if connected:
                take_back(victim, friend, kind)
                assert [(one.kind, one.reason) for one in await agent.publish() if one.peer] == [(kind, None)]
        if not connected:
            take_back(victim, friend, kind)
            async with Hub.connect(victim) as link:
                assert [(one.kind, one.reason) for one in link.published if one.peer] == [(kind, None)]
        async with Hub.connect(victim):
            assert victim.unpublished() == []
            assert victim.peers.unconfirmed() == ()
        if kind is Kind.UNTRUST:
            assert isinstance(await card_seen_by(friend, victim, hub.url), Error)


def take_back(victim: Device, friend: SigningDevice, kind: Kind) -> None:
    if kind is Kind.UNTRUST:
        victim.peers.untrust(friend.client)
    else:
        victim.peers.revoke(friend.client)


async def test_what_a_copy_dated_ahead_of_the_owners_clock_is_shown_and_ends_when_it_is_rejected(
    tmp_path: Path, hub: HubProcess
) -> None:
    """The owner's clock is three days behind the hub's, and the thief dates its trust as late as the hub takes it."""
    spies = (SigningDevice(), SigningDevice())
    with Device.create(tmp_path / "victim", hub_url=hub.url, clock=lambda: TimeMs(now_ms() - BEHIND_MS)) as victim:
        thief = thief_of(victim)
        ahead = Serial(now_ms() + MAX_AHEAD_MS - 3_600_000)
        bodies = [Trust(client=victim.client, serial=ahead, peer=spy.client, peer_key=spy.fingerprint) for spy in spies]
        await put_all(thief, hub.url, *((Kind.TRUST, thief.sign(body)) for body in bodies))
        for spy in spies:
            assert isinstance(await card_seen_by(spy, victim, hub.url), CardReply)
        async with Hub.connect(victim) as link:
            shown = victim.peers.unconfirmed()
            assert {one.peer for one in shown} == {spy.client for spy in spies}
            victim.peers.reject(*shown)
            assert {one.reason for one in await link.publish()} == {None}
        for spy in spies:
            assert isinstance(await card_seen_by(spy, victim, hub.url), Error)
        async with Hub.connect(victim):
            assert victim.peers.unconfirmed() == ()
            assert victim.unpublished() == []
        trusted = victim.peers.trust(SigningDevice().client, spies[0].fingerprint, "other")
        assert read(trusted, Trust).serial < ahead, "what the thief dated moves no counter"
