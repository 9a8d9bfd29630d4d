"""A thief who copied a device's data cannot make that device trust the thief's own, nor let it join by itself."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.client.conftest import HubProcess, until

from muster_client import Agent, Device, Hub
from muster_client.device import statements
from muster_client.device.statements import Topic
from muster_client.doctor import Health, examine
from muster_client.events import TrustEnded, TrustUnconfirmed
from muster_client.views import GrantState
from muster_protocol.errors import Refused
from muster_protocol.governance import Grant, Revocation, Trust
from muster_protocol.ids import GrantId, Serial, client_id
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.signed import read

KEPT = 8
"""Statements that a device keeps for its person in the test of a flood: fewer than else, so that it is short."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A victim that trusts a friend, the thief's copy of its data, and the thief's own device."""

    victim: Device
    copy: Device
    friend: Device
    planted: Device


@pytest.fixture
def stage(tmp_path: Path, hub: HubProcess) -> Iterator[Stage]:
    with (
        Device.create(tmp_path / "friend", hub_url=hub.url) as friend,
        Device.create(tmp_path / "planted", hub_url=hub.url) as planted,
    ):
        with Device.create(tmp_path / "victim", hub_url=hub.url) as victim:
            victim.peers.trust(friend.client, friend.fingerprint, "friend")
        shutil.copytree(victim.path, tmp_path / "copy")
        with Device.open(victim.path) as victim, Device.open(tmp_path / "copy") as copy:
            yield Stage(victim, copy, friend, planted)


async def plant(stage: Stage) -> None:
    """Let the thief publish trust in its own device and a grant to it, by a command line."""
    stage.copy.peers.trust(stage.planted.client, stage.planted.fingerprint, "printer")
    stage.copy.peers.grant(stage.planted.client)
    async with Hub.connect(stage.copy) as hub:
        assert [result.reason for result in hub.published if result.peer == stage.planted.client] == [None, None]


def pins_only_the_friend(stage: Stage) -> bool:
    return stage.victim.peers.pins() == {stage.friend.client: stage.friend.fingerprint}


async def trust_found(device: Device) -> Health:
    """Return what ``muster doctor`` finds of a device's trust."""
    return {finding.check: finding.state async for finding in examine(device.path)}["trust"]


async def test_planted_trust_and_grants_do_not_count_and_the_agent_shows_them(stage: Stage) -> None:
    await plant(stage)
    async with Agent.open(stage.victim) as agent:
        shown = await until(agent.events(), TrustUnconfirmed)
        await agent.connected()
    assert shown.peers == (stage.planted.client,)
    assert pins_only_the_friend(stage)
    assert [peer.client for peer in stage.victim.peers.all()] == [stage.friend.client]
    assert [one.kind for one in stage.victim.peers.unconfirmed()] == [Kind.TRUST, Kind.GRANT]


async def test_a_rotation_does_not_sign_planted_statements_again(stage: Stage) -> None:
    await plant(stage)
    async with Hub.connect(stage.victim):
        assert len(stage.victim.peers.unconfirmed()) == 2
    stage.victim.rotate()
    assert pins_only_the_friend(stage)
    assert {held.peer for held in stage.victim.unpublished() if held.topic is not Topic.CARD} == {stage.friend.client}
    assert stage.victim.peers.unconfirmed() == ()


async def test_an_agent_that_stays_connected_is_shown_at_once_what_a_copy_plants_and_ends(stage: Stage) -> None:
    async with Agent.open(stage.victim) as agent:
        events = agent.events()
        await agent.connected()
        await plant(stage)
        assert (await until(events, TrustUnconfirmed)).peers == (stage.planted.client,)
        assert pins_only_the_friend(stage)
        stage.copy.peers.untrust(stage.friend.client)
        async with Hub.connect(stage.copy):
            assert (await until(events, TrustEnded)).devices == 1
        assert stage.victim.peers.pins() == {}


async def test_an_agent_is_told_of_each_planted_statement_once_while_it_stays_connected(stage: Stage) -> None:
    """The thief states one after the other: what was told before fills neither the log nor the events again."""
    async with Agent.open(stage.victim) as agent:
        events = agent.events()
        await agent.connected()
        await plant(stage)
        assert (await until(events, TrustUnconfirmed)).peers == (stage.planted.client,)
        later = client_id("ed25519", bytes(32))
        stage.copy.peers.trust(later, stage.planted.fingerprint, "later")
        async with Hub.connect(stage.copy):
            shown = await until(events, TrustUnconfirmed)
            while shown.peers == (stage.planted.client,):
                shown = await until(events, TrustUnconfirmed)
        assert shown.peers == (later,)


async def test_what_a_copy_ends_is_told_until_the_person_was_shown_it(stage: Stage) -> None:
    async with Hub.connect(stage.victim):
        assert await trust_found(stage.victim) is Health.OK
    stage.copy.peers.untrust(stage.friend.client)
    async with Hub.connect(stage.copy):
        pass
    for _ in range(2):
        async with Agent.open(stage.victim) as agent:
            assert (await until(agent.events(), TrustEnded)).devices == 1
    assert stage.victim.peers.pins() == {}
    assert await trust_found(stage.victim) is Health.WARN
    ended = stage.victim.peers.ended_elsewhere()
    assert [(one.peer, one.kind) for one in ended] == [(stage.friend.client, Kind.UNTRUST)]
    stage.victim.peers.mark_listed(ended)
    assert stage.victim.peers.ended_elsewhere() == ()
    assert await trust_found(stage.victim) is Health.OK


async def test_planted_ends_and_rejected_trust_take_no_place_after_a_rotation(stage: Stage) -> None:
    """The thief ends what the owner never had, and the owner rejects what the thief trusts."""
    made_up = client_id("ed25519", bytes(32))
    planted = read(stage.copy.peers.trust(made_up, stage.planted.fingerprint, "made-up"), Trust)
    stage.copy.peers.untrust(made_up)
    grant = GrantId(bytes(16))
    for peer in (made_up, stage.planted.client):
        body = Revocation(client=planted.client, serial=Serial(planted.serial + 1), peer=peer, grant=grant)
        stage.copy._statements.say(body, stage.copy.key)
    await plant(stage)
    stage.copy.peers.untrust(stage.friend.client)
    async with Hub.connect(stage.copy) as hub:
        assert {result.reason for result in hub.published} == {None}
    async with Hub.connect(stage.victim):
        stage.victim.peers.reject(*stage.victim.peers.unconfirmed())
    assert {held.peer for held in stage.victim.unpublished() if held.peer} == {stage.planted.client}
    stage.victim.rotate()
    again = [(held.kind, held.peer) for held in stage.victim.unpublished() if held.topic is not Topic.CARD]
    assert again == [(Kind.UNTRUST, stage.friend.client)], "what ended the owner's own trust stays ended"


async def test_what_the_person_accepted_and_ended_stays_ended_after_a_rotation(stage: Stage) -> None:
    await plant(stage)
    async with Hub.connect(stage.victim):
        stage.victim.peers.accept(*stage.victim.peers.unconfirmed())
    stage.victim.peers.untrust(stage.planted.client)
    stage.victim.rotate()
    assert [held.peer for held in stage.victim.unpublished() if held.kind is Kind.UNTRUST] == [stage.planted.client]


async def test_what_the_person_rejects_ends_at_the_hub_too(stage: Stage) -> None:
    await plant(stage)
    async with Hub.connect(stage.victim) as hub:
        stage.victim.peers.reject(*stage.victim.peers.unconfirmed())
        assert {result.reason for result in await hub.publish()} == {None}
    assert stage.victim.peers.unconfirmed() == ()
    # The thief's own copy learns of the end from the hub, as any copy does.
    async with Hub.connect(stage.copy):
        assert stage.copy.peers.pins() == {stage.friend.client: stage.friend.fingerprint}


async def test_a_rejected_key_of_a_friend_leaves_the_friend_trusted(stage: Stage) -> None:
    async with Hub.connect(stage.victim):
        pass
    stage.copy.peers.trust(stage.friend.client, stage.planted.fingerprint, "friend")
    async with Hub.connect(stage.copy):
        pass
    async with Hub.connect(stage.victim) as hub:
        assert pins_only_the_friend(stage)
        stage.victim.peers.reject(*stage.victim.peers.unconfirmed())
        assert {result.reason for result in await hub.publish()} == {None}
    assert pins_only_the_friend(stage)
    assert stage.victim.peers.unconfirmed() == ()


async def test_a_flood_of_planted_trust_hides_no_end_and_is_shown_part_by_part(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thief plants more than a device keeps for its person, and takes back the trust in the friend."""
    monkeypatch.setattr(statements, "MAX_UNCONFIRMED", KEPT)
    peers = [client_id("ed25519", number.to_bytes(32, "big")) for number in range(KEPT + 4)]
    for peer in peers:
        stage.copy.peers.trust(peer, stage.planted.fingerprint, peer[:31])
    stage.copy.peers.untrust(stage.friend.client)
    async with Hub.connect(stage.copy) as hub:
        assert {result.reason for result in hub.published} == {None}
    async with Agent.open(stage.victim) as agent:
        await agent.connected()
        assert stage.victim.peers.pins() == {}, "a restriction is taken however much waits"
        waiting = {one.peer for one in stage.victim.peers.unconfirmed()}
        assert len(waiting) == KEPT
        assert stage.victim.peers.more_unconfirmed
        stage.victim.peers.reject(*stage.victim.peers.unconfirmed())
        await agent.publish()
    async with Hub.connect(stage.victim):
        rest = {one.peer for one in stage.victim.peers.unconfirmed()}
        assert waiting | rest == set(peers)
        assert not stage.victim.peers.more_unconfirmed


async def test_a_person_whose_data_were_restored_accepts_what_they_made(stage: Stage) -> None:
    stage.copy.peers.trust(stage.planted.client, stage.planted.fingerprint, "printer")
    once = read(stage.copy.peers.grant(stage.planted.client, once=True), Grant)
    async with Hub.connect(stage.copy):
        pass
    async with Hub.connect(stage.victim):
        shown = stage.victim.peers.unconfirmed()
        stage.victim.peers.accept(*shown)
    assert stage.planted.client in stage.victim.peers.pins()
    assert stage.victim.peers.newest_grant(stage.planted.client) == once
    (grant,) = [peer.grant for peer in stage.victim.peers.all() if peer.client == stage.planted.client]
    assert grant is not None
    assert grant.state is GrantState.USED, "it may have been used since the backup"
    with pytest.raises(Refused):
        stage.victim.peers.accept(*shown)


async def test_the_person_accepts_only_the_statement_they_were_shown(stage: Stage) -> None:
    """While the person reads the words of one key, the thief has another key take its place."""
    peer = stage.planted.client
    stage.copy.peers.trust(peer, stage.friend.fingerprint, "printer")
    async with Hub.connect(stage.copy):
        pass
    async with Hub.connect(stage.victim):
        (shown,) = stage.victim.peers.unconfirmed()
    stage.victim.peers.mark_listed([shown])
    stage.copy.peers.trust(peer, stage.planted.fingerprint, "printer")
    async with Hub.connect(stage.copy):
        pass
    async with Hub.connect(stage.victim):
        pass
    with pytest.raises(Refused) as caught:
        stage.victim.peers.accept(shown)
    assert caught.value.reason is Reason.MISMATCH
    assert pins_only_the_friend(stage)
    (newer,) = stage.victim.peers.unconfirmed()
    assert newer.fingerprint == stage.planted.fingerprint
    assert not newer.listed, "the person was shown the older one alone"
