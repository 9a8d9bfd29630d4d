"""Sockets on which nothing comes, by which a stranger holds the hub's memory and its places."""

import asyncio
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.certificates import Authority
from tests.integration.hub.device import WAIT_S, SigningDevice
from tests.integration.hub.hub_process import process, ready

from muster_hub.listener.settings import (
    MAX_REFUSALS_AT_ONCE,
    MAX_UNAUTHENTICATED,
    MAX_UNAUTHENTICATED_PER_ADDRESS,
)

STRANGER = "127.0.0.2"
SOCKETS = 1_500
STRANGERS = tuple(f"127.0.0.{number}" for number in range(2, 12))
FILES = 4_096


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let the test, and the hub that it starts, open many sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(FILES, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def silent(port: int, source: str = STRANGER) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
    sock.setblocking(False)
    return sock


def open_still(sockets: list[socket.socket]) -> int:
    """Count the sockets that the hub has not ended; it says nothing on any of them."""
    still = 0
    for sock in sockets:
        try:
            assert sock.recv(1) == b""
        except BlockingIOError:
            still += 1
        except ConnectionError:
            pass
    return still


def with_tls(folder: Path) -> tuple[tuple[str, ...], ssl.SSLContext]:
    """Return the options of a hub that ends TLS, and what a device trusts."""
    authority = Authority(folder / "authority")
    issued = authority.issue()
    return ("--tls-cert", str(issued.cert), "--tls-key", str(issued.key)), authority.context()


@pytest.mark.usefixtures("many_files")
async def test_silent_tls_sockets_of_one_address_have_its_limit(tmp_path: Path) -> None:
    tls, trusted = with_tls(tmp_path)
    async with process("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "hub"), *tls) as hub:
        url = str((await ready(hub))["url"])
        sockets = [silent(int(url.rpartition(":")[2])) for _ in range(SOCKETS)]
        try:
            limit = MAX_UNAUTHENTICATED_PER_ADDRESS + MAX_REFUSALS_AT_ONCE
            async with asyncio.timeout(WAIT_S):
                while open_still(sockets) > limit:  # noqa: ASYNC110 - the kernel accepts them first, then the hub
                    await asyncio.sleep(0.05)
            async with SigningDevice().connect(url, tls=trusted):
                pass  # another address has places
            async with asyncio.timeout(2 * WAIT_S):
                while open_still(sockets):  # noqa: ASYNC110 - each ends by its deadline
                    await asyncio.sleep(0.1)
        finally:
            for sock in sockets:
                sock.close()


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
async def test_silent_sockets_of_ten_addresses_do_not_lock_out_another(tmp_path: Path, *, secured: bool) -> None:
    """They take all places; the oldest of them makes room."""
    assert len(STRANGERS) * MAX_UNAUTHENTICATED_PER_ADDRESS == MAX_UNAUTHENTICATED
    tls, trusted = with_tls(tmp_path) if secured else ((), None)
    async with process("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "hub"), *tls) as hub:
        url = str((await ready(hub))["url"])
        port = int(url.rpartition(":")[2])
        each = range(MAX_UNAUTHENTICATED_PER_ADDRESS)
        sockets = [silent(port, stranger) for stranger in STRANGERS for _ in each]
        try:
            async with SigningDevice().connect(url, tls=trusted):
                assert not open_still(sockets[:1])
        finally:
            for sock in sockets:
                sock.close()
