"""The way to the hub as it is for months: proxies that cut, cables that are pulled, lids that are closed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.certificates import Authority
from tests.integration.client.conftest import WAIT_S, HubProcess, free_port, running_hub, until
from tests.integration.client.middlebox import Middlebox, http_connect, http_refusal, socks5

from muster_client import Agent, Device, Hub
from muster_client.connection import link, machine_watch
from muster_client.connection.keep_alive import KeepAlive
from muster_client.connection.proxy import VARIABLES
from muster_client.connection.tls import read_authority
from muster_client.device.clock import now_ms
from muster_client.doctor import examine
from muster_client.doctor.findings import Health
from muster_client.doctor.hub import examine_hub
from muster_client.errors import HubUnreachable, Trouble
from muster_client.events import Connected, Disconnected, KeepAliveShortened
from muster_protocol.ids import TimeMs

Behind = Callable[..., AbstractAsyncContextManager[tuple[Middlebox, Device]]]

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


class SteppedClock:
    """The wall clock, as somebody sets it."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> TimeMs:
        return TimeMs(now_ms() + self.ahead_ms)


@pytest.fixture(scope="module")
def box_port() -> int:
    """Return the port of each test's middlebox."""
    return free_port()


@pytest.fixture(scope="module")
def hub_behind(tmp_path_factory: pytest.TempPathFactory, box_port: int) -> Iterator[HubProcess]:
    """Start a hub that devices reach through a middlebox."""
    with running_hub(tmp_path_factory.mktemp("behind"), "--origin", f"ws://127.0.0.1:{box_port}") as hub:
        yield hub


@pytest.fixture
def behind(tmp_path: Path, box_port: int, hub_behind: HubProcess) -> Behind:
    """Make a device whose hub is behind a middlebox."""

    @asynccontextmanager
    async def made(clock=now_ms, **options: object) -> AsyncIterator[tuple[Middlebox, Device]]:
        box = Middlebox(hub_behind.port, **options)  # type: ignore[arg-type]
        box.port = box_port
        Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{box_port}").close()
        with Device.open(tmp_path / "laptop", clock=clock) as device:
            async with box.listening():
                yield box, device

    return made


async def test_an_agent_learns_how_long_a_proxy_keeps_idle_connections(behind: Behind) -> None:
    async with behind(cut_after_s=0.4) as (box, device), Agent.open(device) as agent:
        # As small as the proxy is impatient; everything else is as it always is.
        agent._link.keep_alive = KeepAlive(usual_s=20.0, least_s=0.1)
        events = agent.events()
        learnt = await until(events, KeepAliveShortened)
        assert 0.1 < learnt.interval_s < 0.4
        async with asyncio.timeout(WAIT_S):
            await box.long_lived.wait()
        assert box.cuts == box.opened - 1, "two deaths teach it, and then nothing is cut any more"
        status = agent.status()
        assert status.connected
        assert status.keep_alive_learnt
        assert status.keep_alive_ms == round(learnt.interval_s * 1000)
        assert status.last_drop is not None
        assert "silence" in status.last_drop.sentence
        findings = {one.check: one async for one in examine(device.path)}
        assert findings["agent"].state is Health.WARN
        assert "cuts idle connections" in findings["agent"].sentence


async def test_an_agent_does_not_learn_from_a_hub_that_ends(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub, Device.create(tmp_path / "laptop", hub_url=hub.url) as device:
        async with Agent.open(device) as agent:
            agent._link.keep_alive = KeepAlive(usual_s=20.0, least_s=0.1)
            events = agent.events()
            await until(events, Connected)
            for _ in range(3):
                await asyncio.to_thread(hub.stop)
                assert (await until(events, Disconnected)).cause == "closed_4001"
                hub.start()
                agent.notify()
                await until(events, Connected)
            assert not agent.status().keep_alive_learnt


async def test_an_agent_that_wakes_up_finds_out_at_once_that_its_connection_is_dead(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_watch, "CHECK_EVERY_S", 0.05)
    monkeypatch.setattr(link, "PROBE_TIMEOUT_S", 0.5)
    clock = SteppedClock()
    async with behind(clock) as (box, device), Agent.open(device) as agent:
        await agent.connected()
        events = agent.events()
        box.swallow()
        clock.ahead_ms += 8 * HOUR_MS
        # Far within the 20 s of the next ping: the lid was opened, and it looked.
        async with asyncio.timeout(10):
            await until(events, Disconnected)
        box.flow()
        await until(events, Connected)


async def test_an_agent_that_wakes_up_with_a_living_connection_keeps_it(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_watch, "CHECK_EVERY_S", 0.05)
    clock = SteppedClock()
    async with behind(clock) as (box, device), Agent.open(device) as agent:
        await agent.connected()
        since = agent.status().connected_since
        probed = asyncio.Event()
        connection = agent._link.connection
        assert connection is not None
        probe = connection.probe

        async def watched(timeout_s: float) -> float:
            took_s = await probe(timeout_s)
            probed.set()
            return took_s

        connection.probe = watched  # type: ignore[method-assign] # to see that it happened
        clock.ahead_ms += HOUR_MS
        async with asyncio.timeout(WAIT_S):
            await probed.wait()
        assert agent.status().connected_since == since
        assert box.opened == 1


@pytest.mark.parametrize("jump_ms", [DAY_MS, -DAY_MS])
async def test_a_clock_that_jumps_by_a_day_takes_nothing_down(
    behind: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_ms: int
) -> None:
    monkeypatch.setattr(machine_watch, "CHECK_EVERY_S", 0.05)
    clock = SteppedClock()
    async with behind(clock) as (_, device), Agent.open(device) as agent:
        await agent.connected()
        since = agent.status().connected_since
        peer = Device.create(tmp_path / "nas", hub_url=device.hub_url)
        with peer:
            device.peers.trust(peer.client, peer.fingerprint, "nas")
            before = device.peers.grant(peer.client)
            for jump in (jump_ms, -jump_ms):
                clock.ahead_ms += jump
                device.peers.revoke(peer.client)
                after = device.peers.grant(peer.client)
                assert after != before
                async with asyncio.timeout(WAIT_S):
                    results = await agent.publish()
                assert all(result.reason is None for result in results)
                if clock.ahead_ms:
                    findings = {one.check: one async for one in examine_with(device, clock)}
                    assert findings["clock"].state is Health.FAIL
                    assert ("ahead of" if jump_ms > 0 else "behind") in findings["clock"].sentence
            assert device.unpublished() == []
        assert (agent.status().connected, agent.status().connected_since) == (True, since)


async def examine_with(device: Device, clock):
    """Examine as a command line on a machine with this clock would."""
    with Device.open(device.path, clock=clock) as opened:
        async for finding in examine_hub(opened):
            yield finding


@pytest.fixture(scope="module")
def named_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubProcess, Authority]]:
    """Start a hub whose name only a proxy knows."""
    folder = tmp_path_factory.mktemp("named")
    authority = Authority(folder / "authority")
    issued = authority.issue("hub.example.org")
    files = ("--tls-cert", str(issued.cert), "--tls-key", str(issued.key))
    options = (*files, "--origin", "wss://hub.example.org", "--enrolment", "open")
    with running_hub(folder, *options, scheme="wss") as hub:
        yield hub, authority


@pytest.fixture
def proxied(named_hub: tuple[HubProcess, Authority], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make a device that trusts the authority of the hub behind a proxy."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    hub, authority = named_hub
    with Device.create(tmp_path / "laptop", hub_url="wss://hub.example.org") as device:
        device.trust_authority(read_authority(authority.file))
        yield hub, device


@pytest.mark.parametrize(
    ("variable", "scheme", "greet"),
    [
        ("HTTPS_PROXY", "http", http_connect),
        ("ALL_PROXY", "http", http_connect),
        ("ALL_PROXY", "socks5h", socks5),
    ],
)
async def test_a_proxy_leads_to_the_hub(proxied, monkeypatch: pytest.MonkeyPatch, variable, scheme, greet) -> None:
    hub, device = proxied
    box = Middlebox(hub.port, greet=greet)
    async with box.listening():
        monkeypatch.setenv(variable, f"{scheme}://127.0.0.1:{box.port}")
        async with Agent.open(device) as agent:
            await until(agent.events(), Connected)
        findings = {one.check: one async for one in examine(device.path)}
        assert f"{scheme}://127.0.0.1:{box.port}" in findings["proxy"].sentence
        assert {one.check for one in findings.values() if one.state is not Health.OK} == {"agent"}


async def test_a_proxy_that_refuses_is_the_one_to_blame(proxied, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, device = proxied
    box = Middlebox(hub.port, greet=http_refusal)
    async with box.listening():
        monkeypatch.setenv("HTTPS_PROXY", f"http://ann:secret@127.0.0.1:{box.port}")
        with pytest.raises(HubUnreachable) as caught:
            async with Hub.connect(device):
                pass
        assert caught.value.trouble is Trouble.PROXY_FAILED
        assert "407" in str(caught.value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "socks5h", "gopher"])
async def test_a_proxy_that_is_not_there_is_the_one_to_blame(proxied, monkeypatch, scheme) -> None:
    _, device = proxied
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{free_port()}")
    with pytest.raises(HubUnreachable) as caught:
        async with Hub.connect(device):
            pass
    assert caught.value.trouble is Trouble.PROXY_FAILED


async def test_the_password_of_a_proxy_that_cannot_be_used_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://ann:secret@127.0.0.1:1/path")
    with Device.create(tmp_path / "laptop", hub_url="wss://hub.example.org") as device:
        with pytest.raises(HubUnreachable, match="path is meaningless") as caught:
            async with Hub.connect(device):
                pass
        assert caught.value.trouble is Trouble.PROXY_FAILED
        assert "secret" not in str(caught.value)
