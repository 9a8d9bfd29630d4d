"""A hub that makes its certificate: its file, its renewal, its workers, and what it prints where it starts."""

import asyncio
import signal
import stat
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from tests.integration.certificates import served_extension
from tests.integration.hub.conftest import Eventually, Links, NodeSettings
from tests.integration.hub.device import WAIT_S
from tests.integration.hub.hub_process import process, ready

from muster_client.connection.hub_key_tls import HubKeyContext
from muster_hub.config import own_certificate
from muster_hub.config.certificate import now_utc
from muster_hub.config.machine import machine_hosts
from muster_hub.config.own_certificate import FILE, RENEW_AFTER, RETRY_AFTER, OwnCertificate
from muster_hub.config.settings import SettingError
from muster_hub.node.node import open_node
from muster_protocol.codec import decode_closed
from muster_protocol.enrolment import parse_invitation
from muster_protocol.hub_tls import HubVoucher
from muster_protocol.ids import Fingerprint
from muster_protocol.keys import SigningKey

HUB = SigningKey.from_secret(bytes(range(32)))
WORKERS = 2


def test_certificate_and_key_are_in_one_file_that_only_the_hub_reads(tmp_path: Path) -> None:
    OwnCertificate(tmp_path, HUB)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE]


def test_it_is_made_anew_in_time_and_when_the_clock_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = OwnCertificate(tmp_path, HUB)
    begun = now_utc()
    first = (tmp_path / FILE).read_bytes()

    def due(later: timedelta) -> bool:
        monkeypatch.setattr(own_certificate, "now_utc", lambda: begun + later)
        return certificate.renewed()

    assert not due(timedelta(0))
    assert not due(RENEW_AFTER - timedelta(minutes=1))
    assert due(timedelta(days=-1))
    assert due(RENEW_AFTER)
    certificate.reload()
    assert (tmp_path / FILE).read_bytes() != first
    assert not due(RENEW_AFTER)


def test_a_renewal_that_fails_waits_before_the_next_try_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    certificate = OwnCertificate(folder, HUB)
    begun = now_utc()
    (folder / FILE).unlink()
    folder.rmdir()
    monkeypatch.setattr(own_certificate, "now_utc", lambda: begun + RENEW_AFTER)
    with pytest.raises(SettingError, match=r"data_dir: .*cannot be written"):
        certificate.reload()
    assert not certificate.renewed()
    monkeypatch.setattr(own_certificate, "now_utc", lambda: begun + RENEW_AFTER + RETRY_AFTER)
    assert certificate.renewed()
    folder.mkdir()
    certificate.reload()
    assert not certificate.renewed()


async def test_a_renewed_certificate_is_shown_and_the_hubs_key_vouches_for_it(
    hub_settings: NodeSettings, links: Links, eventually: Eventually
) -> None:
    settings = msgspec.structs.replace(hub_settings("own"), tls="own")
    node = await links.enter_async_context(open_node(settings))
    port = int(node.url.rpartition(":")[2])
    first = await served_extension(port)
    node.renew_certificate()

    async def renewed() -> bool:
        return await served_extension(port) != first

    await eventually(renewed)
    assert await _vouched(port, node.fingerprint)


async def test_workers_have_each_their_own_and_hang_up_renews_them(tmp_path: Path, eventually: Eventually) -> None:
    options = ("--listen", "127.0.0.1:0", "--tls", "own", "--workers", str(WORKERS), "--data-dir", str(tmp_path))
    async with process("--json", *options) as started:
        told = await ready(started)
        assert told["tls"] == "own"
        port = int(str(told["url"]).rpartition(":")[2])
        files = [tmp_path / "workers" / str(number) / FILE for number in range(1, WORKERS + 1)]
        first = [file.read_bytes() for file in files]
        assert len(set(first)) == WORKERS
        assert await _vouched(port, Fingerprint(bytes.fromhex(str(told["fingerprint"]))))
        started.send_signal(signal.SIGHUP)
        await eventually(lambda: all(file.read_bytes() not in first for file in files))


async def test_a_hub_on_every_address_prints_one_line_to_paste_until_it_has_a_device(tmp_path: Path) -> None:
    options = ("--listen", "0.0.0.0:0", "--data-dir", str(tmp_path))
    async with process(*options) as started:
        banner = await _banner(started)
        line = banner["connect a device"]
        invitation = parse_invitation(line.removeprefix("muster init --code "))
        port = int(invitation.url.rpartition(":")[2])
        urls = banner["it is dialled at"]
        assert urls.startswith(invitation.url)
        assert f"wss://127.0.0.1:{port}" in urls
        assert "--origin wss://HOST:PORT" in urls
        assert await _vouched(port, invitation.hub)
        enrol = ("enrolment", "allow", "a" * 32, "--data-dir", str(tmp_path))
        async with process(*enrol) as allowed:
            assert await asyncio.wait_for(allowed.wait(), WAIT_S) == 0
    async with process(*options) as again:
        assert "#" not in (await _banner(again))["connect a device"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "muster init --hub ws://127.0.0.1:"),
        (("--tls", "own"), ", then muster hub trust --fingerprint "),
        (("--enrolment", "listed"), ", and here `muster hub enrolment allow ID`"),
    ],
)
async def test_a_hub_says_how_a_device_comes_to_it(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    async with process("--listen", "127.0.0.1:0", "--data-dir", str(tmp_path), *options) as started:
        assert said in (await _banner(started))["connect a device"]


def test_a_machine_has_names_and_addresses_and_those_that_others_dial_come_first() -> None:
    for version in (4, 6):
        found = machine_hosts(version)
        assert found[-1] == "localhost"
        assert len(set(found)) == len(found)
    assert "127.0.0.1" in machine_hosts(4)
    assert not any(host.startswith(("127.", "fe80")) for host in [machine_hosts(4)[0], *machine_hosts(6)])


async def _banner(started: asyncio.subprocess.Process) -> dict[str, str]:
    assert started.stdout is not None
    lines: dict[str, str] = {}
    async with asyncio.timeout(WAIT_S):
        while "end" not in lines:
            name, _, value = (await started.stdout.readline()).decode().strip().partition("  ")
            lines[name] = value.strip()
    return lines


async def _vouched(port: int, hub: Fingerprint) -> bool:
    """Make a handshake as a device does, and return whether the hub's key is the one that vouched."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=HubKeyContext.of(hub))
    writer.close()
    await writer.wait_closed()
    return decode_closed(await served_extension(port), HubVoucher).hub_key.fingerprint == hub
