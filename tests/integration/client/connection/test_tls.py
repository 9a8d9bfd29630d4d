"""TLS from a device's side: an authority of its own, and one word and one step for each way that it fails."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.certificates import DAY, Authority
from tests.integration.client.conftest import WAIT_S, running_hub, until

from muster_client import Agent, Device, Hub
from muster_client.connection.tls import MAX_CA_BYTES, read_authority
from muster_client.doctor import examine
from muster_client.doctor.findings import Health
from muster_client.doctor.next_steps import NEXT_STEPS
from muster_client.errors import BadCertificateAuthority, HubUnreachable, Trouble
from muster_client.events import Connected, Disconnected

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@asynccontextmanager
async def device_towards(
    tmp_path: Path, handler: Handler, *, scheme: str = "wss", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Device]:
    """Make a device whose hub handles each connection in the given way."""
    busy: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
            await writer.wait_closed()
        except OSError:
            # The device hung up first, as some tests want it to.
            pass

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(handle(reader, writer))
        busy.add(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with Device.create(tmp_path / "laptop", hub_url=f"{scheme}://127.0.0.1:{port}") as device:
            yield device
    async with asyncio.timeout(WAIT_S):
        await asyncio.gather(*busy)


async def never_called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def say_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a web server: with words where it can read the request, else by hanging up."""
    line = await reader.readline()
    if line.startswith(b"GET "):
        while (await reader.readline()).strip():
            pass
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


async def cut_in_the_middle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.transport.abort()


async def say_something_else(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.org ESMTP\r\n")
    await reader.read()
    writer.close()


async def trouble_of(device: Device) -> Trouble:
    """Connect in vain, and see that a person is told the same by the agent and by the examination."""
    with pytest.raises(HubUnreachable) as caught:
        async with Hub.connect(device):
            pass
    trouble = caught.value.trouble
    async with Agent.open(device) as agent:
        events = agent.events()
        gone = await until(events, Disconnected)
        assert gone.cause == trouble.value
        assert gone.sentence
    findings = [finding async for finding in examine(device.path)]
    (failed,) = [finding for finding in findings if finding.state is Health.FAIL]
    assert failed.next_step == NEXT_STEPS[trouble]
    return trouble


async def test_a_private_authority_is_trusted_once_it_was_named_and_no_other_then(
    tmp_path: Path, authority: Authority
) -> None:
    issued = authority.issue()
    options = ("--tls-cert", str(issued.cert), "--tls-key", str(issued.key))
    with running_hub(tmp_path, *options, scheme="wss") as hub:
        with Device.create(tmp_path / "laptop", hub_url=hub.url) as device:
            assert await trouble_of(device) is Trouble.TLS_UNKNOWN_CA
            async with Agent.open(device) as agent:
                events = agent.events()
                await until(events, Disconnected)
                with Device.open(device.path) as command_line:
                    command_line.trust_authority(read_authority(authority.file))
                await until(events, Connected)
            findings = {finding.check: finding async for finding in examine(device.path)}
            assert findings["tls"].state is Health.OK
            assert "the test's own authority" in findings["tls"].sentence
            device.trust_authority(read_authority(Authority(tmp_path / "other").file))
            assert await trouble_of(device) is Trouble.TLS_UNKNOWN_CA
        with Device.open(tmp_path / "laptop") as device:
            assert device.authority is not None
            device.trust_authority(None)
            assert device.authority is None


@pytest.mark.parametrize(
    ("valid", "address", "expected"),
    [
        ((-30 * DAY, -DAY), "127.0.0.1", Trouble.TLS_EXPIRED),
        ((DAY, 30 * DAY), "127.0.0.1", Trouble.TLS_NOT_YET_VALID),
        ((-DAY, 30 * DAY), "127.0.0.2", Trouble.TLS_WRONG_HOST),
        ((-DAY, 30 * DAY), "hub.example.org", Trouble.TLS_WRONG_HOST),
    ],
)
async def test_each_fault_of_a_certificate_has_its_word(
    tmp_path: Path, authority: Authority, valid: tuple[timedelta, timedelta], address: str, expected: Trouble
) -> None:
    issued = authority.issue(address, begins=valid[0], ends=valid[1])
    async with device_towards(tmp_path, never_called, tls=issued.server_context()) as device:
        device.trust_authority(read_authority(authority.file))
        assert await trouble_of(device) is expected


async def test_a_certificate_that_expires_soon_is_told_in_time(tmp_path: Path, authority: Authority) -> None:
    issued = authority.issue(ends=3 * DAY)
    options = ("--tls-cert", str(issued.cert), "--tls-key", str(issued.key))
    with (
        running_hub(tmp_path, *options, scheme="wss") as hub,
        Device.create(tmp_path / "laptop", hub_url=hub.url) as device,
    ):
        device.trust_authority(read_authority(authority.file))
        findings = {finding.check: finding async for finding in examine(device.path)}
        assert findings["tls"].state is Health.WARN
        assert "expires in 2 days" in findings["tls"].sentence


@pytest.mark.parametrize(
    ("handler", "scheme", "expected"),
    [
        (say_http, "wss", Trouble.TLS_NOT_SPOKEN),
        (say_something_else, "wss", Trouble.TLS_NOT_SPOKEN),
        (cut_in_the_middle, "wss", Trouble.TLS_CUT),
        (say_http, "ws", Trouble.NOT_A_HUB),
        (say_something_else, "ws", Trouble.NOT_A_HUB),
        (cut_in_the_middle, "ws", Trouble.NOT_A_HUB),
    ],
)
async def test_what_is_no_tls_and_no_hub_has_its_word(
    tmp_path: Path, handler: Handler, scheme: str, expected: Trouble
) -> None:
    async with device_towards(tmp_path, handler, scheme=scheme) as device:
        assert await trouble_of(device) is expected


async def test_plain_words_to_a_tls_port_are_told_apart(tmp_path: Path, authority: Authority) -> None:
    tls = authority.issue().server_context()
    async with device_towards(tmp_path, never_called, scheme="ws", tls=tls) as device:
        assert await trouble_of(device) is Trouble.TLS_REQUIRED


async def test_tls_to_a_plain_hub_is_told_apart(tmp_path: Path) -> None:
    with (
        running_hub(tmp_path) as hub,
        Device.create(tmp_path / "laptop", hub_url=hub.url.replace("ws:", "wss:")) as device,
    ):
        assert await trouble_of(device) is Trouble.TLS_NOT_SPOKEN


async def test_a_name_that_does_not_resolve(tmp_path: Path) -> None:
    with Device.create(tmp_path / "laptop", hub_url="wss://nowhere.invalid") as device:
        assert await trouble_of(device) is Trouble.HUB_NAME_UNKNOWN


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense", b"\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"x" * MAX_CA_BYTES],
)
def test_a_file_that_is_no_authority_is_refused_before_it_is_remembered(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "authority.pem").write_bytes(data)
    with pytest.raises(BadCertificateAuthority):
        read_authority(tmp_path / "authority.pem")


def test_a_file_that_is_too_long_or_missing_is_refused(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "long.pem").write_bytes(authority.file.read_bytes() + b"\n" * MAX_CA_BYTES)
    for name in ("long.pem", "missing.pem"):
        with pytest.raises(BadCertificateAuthority):
            read_authority(tmp_path / name)
