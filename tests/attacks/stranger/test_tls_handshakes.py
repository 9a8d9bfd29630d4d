"""TLS handshakes one after the other, by which a stranger who proves nothing makes the hub compute."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from msgspec.structs import replace
from tests.attacks.stranger.test_silent_sockets import STRANGER
from tests.integration.certificates import Authority
from tests.integration.hub.conftest import NodeSettings
from tests.integration.hub.device import RefusedByHubError, SigningDevice

from muster_hub.config.certificate import CURVE_COSTS, ServerCertificate, handshake_cost
from muster_hub.listener import ListenerSettings
from muster_hub.listener.settings import SOCKET
from muster_hub.node.node import Tuning, open_node
from muster_hub.rate_limits.token_bucket import Rate

HANDSHAKES = 5
TLS_HANDSHAKE = SOCKET + int(CURVE_COSTS[256])
ONCE = Rate(per_s=0.001, burst=HANDSHAKES * TLS_HANDSHAKE)
"""An allowance of which nothing comes back while a test runs."""
SCARCE = Rate(per_s=20 * TLS_HANDSHAKE, burst=2 * TLS_HANDSHAKE)
"""An allowance for fewer devices than come at once, which comes back soon."""
DEVICES = 12
BACK_OFF_S = 0.05


SLOW_EXCHANGES = ["ffdhe2048", "ffdhe8192", "secp521r1"]


@pytest_asyncio.fixture
async def tls(hub_settings: NodeSettings, tmp_path: Path) -> AsyncIterator[tuple[ssl.SSLContext, NodeSettings]]:
    """Return what a device trusts, and the settings of a hub that ends TLS."""
    authority = Authority(tmp_path / "authority")
    issued = authority.issue()
    yield authority.context(), lambda name: replace(hub_settings(name), tls_cert=issued.cert, tls_key=issued.key)


async def secured(url: str, trusted: ssl.SSLContext) -> bool:
    """Make a TLS handshake and leave; return whether the hub made it too."""
    port = int(url.rpartition(":")[2])
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted, local_addr=(STRANGER, 0))
    except OSError:
        return False
    writer.transport.abort()
    return True


async def test_tls_handshakes_are_made_within_the_allowance_of_an_address(
    tls: tuple[ssl.SSLContext, NodeSettings],
) -> None:
    trusted, settings = tls
    async with open_node(settings("one"), Tuning(limits=ListenerSettings(stranger_work=ONCE))) as node:
        made = [await secured(node.url, trusted) for _ in range(2 * HANDSHAKES)]
        assert made == [True] * HANDSHAKES + [False] * HANDSHAKES
        async with SigningDevice().connect(node.url, tls=trusted):
            pass  # another address has its own allowance


async def test_many_devices_of_one_address_that_come_back_at_once_all_get_in(
    tls: tuple[ssl.SSLContext, NodeSettings],
) -> None:
    trusted, settings = tls
    turned_away = 0

    async def come(url: str) -> None:
        nonlocal turned_away
        for attempt in range(DEVICES * DEVICES):
            try:
                async with SigningDevice().connect(url, tls=trusted):
                    return
            except (OSError, RefusedByHubError):
                turned_away += 1
                await asyncio.sleep(BACK_OFF_S * (1 + attempt))
        raise AssertionError("locked out")

    async with open_node(settings("one"), Tuning(limits=ListenerSettings(stranger_work=SCARCE))) as node:
        await asyncio.gather(*(come(node.url) for _ in range(DEVICES)))
    assert turned_away


async def test_no_key_exchange_is_made_that_costs_more_than_is_paid(tls: tuple[ssl.SSLContext, NodeSettings]) -> None:
    trusted, settings = tls
    async with open_node(settings("one")) as node:
        for name in SLOW_EXCHANGES:
            trusted.set_ecdh_curve(name)
            assert not await secured(node.url, trusted)
        trusted.set_ecdh_curve("X25519")
        assert await secured(node.url, trusted)


def test_a_handshake_is_charged_by_the_key_of_the_newest_certificate(tmp_path: Path) -> None:
    authority, cert, key = Authority(tmp_path / "authority"), tmp_path / "one.pem", tmp_path / "one.key"
    authority.write(cert, key)
    certificate = ServerCertificate(cert, key)
    assert certificate.handshake_cost() == CURVE_COSTS[256]
    authority.write(cert, key, own=rsa.generate_private_key(65_537, 2_048))
    certificate.reload()
    assert certificate.handshake_cost() == 8


@pytest.mark.parametrize(("bits", "cost"), [(2_048, 8), (3_072, 18), (4_096, 39)])
def test_a_handshake_with_a_large_key_costs_its_address_more(bits: int, cost: int) -> None:
    key = rsa.RSAPublicNumbers(65_537, 2 ** (bits - 1) + 1).public_key()
    assert int(handshake_cost(key)) == cost
    assert handshake_cost(ec.generate_private_key(ec.SECP521R1()).public_key()) == CURVE_COSTS[521]
