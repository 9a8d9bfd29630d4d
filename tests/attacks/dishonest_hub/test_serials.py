"""A dishonest hub cannot spoil the counter by which a device takes back what it said."""

import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.client.conftest import free_port
from tests.integration.client.scripted_hub import scripted_hub
from websockets.asyncio.server import ServerConnection

from muster_client import Device, Hub
from muster_client.device.clock import now_ms
from muster_protocol.errors import Refused
from muster_protocol.frames import (
    KindAndStatement,
    ListStatements,
    Ok,
    PutStatement,
    Statements,
    decode_frame,
    encode_frame,
)
from muster_protocol.governance import Grant, Revocation, Trust, Untrust
from muster_protocol.ids import MAX_TIME_MS, GrantId, Serial, TimeMs
from muster_protocol.keys import SigningKey
from muster_protocol.labels import Kind
from muster_protocol.reasons import Reason
from muster_protocol.serials import MAX_AHEAD_MS
from muster_protocol.signed import Signed, read, sign

DAY_MS = MAX_AHEAD_MS


def listing(*statements: tuple[Kind, Signed]) -> Callable[[ServerConnection], Awaitable[None]]:
    """Return a hub's play that lists these statements as the device's own, and takes all that it puts."""

    async def play(connection: ServerConnection) -> None:
        while True:
            request = decode_frame(await connection.recv(decode=False))
            if isinstance(request, ListStatements):
                found = tuple(KindAndStatement(kind, signed) for kind, signed in statements)
                await connection.send(encode_frame(Statements(re=request.id, statements=found, more=False)))
            elif isinstance(request, PutStatement):
                await connection.send(encode_frame(Ok(re=request.id)))

    return play


@dataclass(frozen=True, slots=True)
class TrustingPair:
    """A device that trusts another one and granted it joins, and the port on which its hub will be."""

    device: Device
    peer: Device
    port: int


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[TrustingPair]:
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    with (
        Device.create(tmp_path / "laptop", hub_url=url) as device,
        Device.create(tmp_path / "peer", hub_url=url) as peer,
    ):
        device.peers.trust(peer.client, peer.fingerprint, "peer")
        device.peers.grant(peer.client)
        yield TrustingPair(device, peer, port)


def takes_back(pair: TrustingPair) -> None:
    """Show that the device can still revoke, untrust and change its key, with serials that are near the time."""
    device, peer = pair.device, pair.peer.client
    revoked = read(device.peers.revoke(peer), Revocation).serial
    untrusted = read(device.peers.untrust(peer), Untrust).serial
    assert revoked < untrusted < now_ms() + DAY_MS
    device.rotate()
    with Device.open(device.path) as again:
        assert again.fingerprint == device.fingerprint


async def test_the_newest_serial_that_a_hub_claims_moves_no_counter(pair: TrustingPair) -> None:
    async with scripted_hub(pair.port, listing(), newest_serial=MAX_TIME_MS), Hub.connect(pair.device):
        pass
    takes_back(pair)


async def test_the_number_of_changes_that_a_hub_claims_hides_no_later_statement(pair: TrustingPair) -> None:
    key = SigningKey.from_secret(os.urandom(32))
    async with scripted_hub(pair.port, listing(), changes=MAX_TIME_MS, key=key), Hub.connect(pair.device):
        pass
    body = Untrust(client=pair.device.client, serial=Serial(now_ms()), peer=pair.peer.client)
    own = listing((Kind.UNTRUST, sign(body, pair.device.key)))
    async with scripted_hub(pair.port, own, changes=1, key=key), Hub.connect(pair.device):
        pass
    assert pair.device.peers.pins() == {}


async def test_a_grant_of_the_largest_serial_is_not_taken_and_moves_no_counter(pair: TrustingPair) -> None:
    grant = read(pair.device.peers.grant(pair.peer.client), Grant)
    body = Grant(
        client=pair.device.client, serial=Serial(MAX_TIME_MS), peer=grant.peer, peer_key=grant.peer_key,
        grant=GrantId(os.urandom(16)), mode=grant.mode, profiles=None, uses=None, not_before=grant.not_before,
        expires_at=grant.expires_at,
    )  # fmt: skip
    planted = listing((Kind.GRANT, sign(body, pair.device.key)))
    async with scripted_hub(pair.port, planted, newest_serial=MAX_TIME_MS, changes=1), Hub.connect(pair.device):
        pass
    (peer,) = pair.device.peers.all()
    assert peer.grant is not None
    assert peer.grant.id == grant.grant
    takes_back(pair)


async def test_an_untrust_of_the_largest_serial_is_taken_and_moves_no_counter(pair: TrustingPair) -> None:
    body = Untrust(client=pair.device.client, serial=Serial(MAX_TIME_MS), peer=pair.peer.client)
    own = listing((Kind.UNTRUST, sign(body, pair.device.key)))
    async with scripted_hub(pair.port, own, newest_serial=MAX_TIME_MS, changes=1), Hub.connect(pair.device):
        pass
    assert pair.device.peers.pins() == {}
    other = Device.create(pair.device.path.parent / "other", hub_url=pair.device.hub_url)
    with other:
        trusted = pair.device.peers.trust(other.client, other.fingerprint, "other")
        assert read(trusted, Trust).serial < now_ms() + DAY_MS


async def test_a_time_of_the_hub_that_is_far_ahead_moves_no_serial(pair: TrustingPair) -> None:
    async with scripted_hub(pair.port, listing(), at=TimeMs(MAX_TIME_MS)), Hub.connect(pair.device):
        pass
    takes_back(pair)


async def test_a_time_at_the_end_of_time_leaves_what_a_copy_planted_to_be_taken_back(pair: TrustingPair) -> None:
    device, peer = pair.device, pair.peer
    body = Trust(client=device.client, serial=Serial(MAX_TIME_MS), peer=peer.client, peer_key=peer.fingerprint)
    planted = (Kind.TRUST, sign(body, device.key))
    async with (
        scripted_hub(pair.port, listing(planted), changes=1, at=TimeMs(MAX_TIME_MS)),
        Hub.connect(device),
    ):
        pass
    takes_back(pair)


async def test_a_time_that_one_hub_told_counts_no_longer_at_another(pair: TrustingPair) -> None:
    device, peer = pair.device, pair.peer
    body = Trust(client=device.client, serial=Serial(MAX_TIME_MS - 1), peer=peer.client, peer_key=peer.fingerprint)
    planted = (Kind.TRUST, sign(body, device.key))
    async with scripted_hub(pair.port, listing(planted), changes=1, at=TimeMs(MAX_TIME_MS)), Hub.connect(device):
        pass
    device.peers.untrust(peer.client)
    assert max(held.serial for held in device.unpublished()) == MAX_TIME_MS
    honest = SigningKey.from_secret(os.urandom(32))
    device.pin_hub(honest.fingerprint)
    async with scripted_hub(pair.port, listing(), key=honest), Hub.connect(device):
        pass
    assert peer.client not in device.peers.pins()
    assert all(held.serial < now_ms() + DAY_MS for held in device.peers._statements.all())


async def test_statements_of_a_clock_that_was_far_ahead_are_signed_again(tmp_path: Path) -> None:
    port, ahead = free_port(), TimeMs(now_ms() + 5000 * DAY_MS)
    with Device.create(tmp_path / "early", hub_url=f"ws://127.0.0.1:{port}", clock=lambda: ahead) as early:
        with Device.create(tmp_path / "peer", hub_url=early.hub_url) as peer:
            early.peers.trust(peer.client, peer.fingerprint, "peer")
        assert all(held.serial > now_ms() + DAY_MS for held in early.unpublished())
    with Device.open(tmp_path / "early") as device:
        async with scripted_hub(port, listing()), Hub.connect(device):
            pass
        assert list(device.peers.pins()) == [peer.client]
        assert all(held.serial <= now_ms() + DAY_MS for held in device.unpublished())


def test_a_statement_that_is_ahead_is_refused_by_its_reason(pair: TrustingPair) -> None:
    body = Trust(
        client=pair.device.client, serial=Serial(now_ms() + 2 * DAY_MS), peer=pair.peer.client,
        peer_key=pair.peer.fingerprint,
    )  # fmt: skip
    with pytest.raises(Refused) as caught:
        pair.device.apply_own(Kind.TRUST, sign(body, pair.device.key))
    assert caught.value.reason is Reason.CLOCK_AHEAD
