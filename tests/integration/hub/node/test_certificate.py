"""TLS on the hub's own port: a renewed certificate is taken up without a drop, and what is wrong is said in words."""

import datetime as dt
import signal
import ssl
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.integration.certificates import DAY, Authority, served_serial
from tests.integration.hub.conftest import Eventually, Links, NodeSettings
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.hub_process import ended, process, ready

from muster_hub.config.addresses import binding
from muster_hub.config.certificate import ServerCertificate, describe_expiry, now_utc
from muster_hub.config.settings import SettingError, Settings
from muster_hub.node import certificate_renewal
from muster_hub.node.node import Node, open_node
from muster_protocol.frames import Ok

OpenNode = Callable[[], Awaitable[Node]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "cert.pem", tmp_path / "key.pem"


@pytest.fixture
def tls_node(
    hub_settings: NodeSettings, files: tuple[Path, Path], authority: Authority, links: Links
) -> Callable[[], Awaitable[Node]]:
    """Start a node that shows the certificate in the files."""

    async def start() -> Node:
        settings = msgspec.structs.replace(hub_settings("tls"), tls_cert=files[0], tls_key=files[1])
        return await links.enter_async_context(open_node(settings))

    return start


async def test_a_renewed_certificate_is_shown_to_new_connections_and_the_open_ones_stay(
    tls_node: OpenNode, files: tuple[Path, Path], authority: Authority, links: Links, eventually: Eventually
) -> None:
    first = authority.write(*files)
    node = await tls_node()
    assert node.url.startswith("wss://127.0.0.1:")
    context = authority.context()
    old = await links.enter_async_context(SigningDevice().connect(node.url, tls=context))
    assert await served_serial(node.url, context) == first

    second = authority.write(*files)
    node.renew_certificate()

    async def renewed() -> bool:
        return await served_serial(node.url, context) == second

    await eventually(renewed)
    assert isinstance(await old.put(old.device.trust(SigningDevice())), Ok)
    async with SigningDevice().connect(node.url, tls=context) as new:
        assert isinstance(await new.put(new.device.trust(SigningDevice())), Ok)


async def test_changed_files_are_found_and_half_a_renewal_changes_nothing(
    tls_node: OpenNode,
    files: tuple[Path, Path],
    authority: Authority,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(certificate_renewal, "LOOK_EVERY_S", 0.01)
    first = authority.write(*files)
    node = await tls_node()
    context = authority.context()
    fresh_cert, fresh_key = (path.with_suffix(".fresh") for path in files)
    with capture_logs() as said:
        second = authority.write(fresh_cert, fresh_key)
        fresh_cert.replace(files[0])
        await eventually(lambda: any(line["event"] == "certificate_not_renewed" for line in said))
        assert await served_serial(node.url, context) == first
        fresh_key.replace(files[1])
        await eventually(lambda: any(line["event"] == "certificate_renewed" for line in said))
    assert await served_serial(node.url, context) == second
    refused = [line for line in said if line["event"] == "certificate_not_renewed"]
    assert len(refused) == 1
    assert f"{files[1]} is not the key of the certificate in {files[0]}" in refused[0]["why"]


@pytest.mark.parametrize("dialled", ["127.0.0.1", "localhost"])
async def test_a_host_may_be_dialled_by_name_and_by_number(
    tls_node: OpenNode, files: tuple[Path, Path], authority: Authority, dialled: str
) -> None:
    # Dialled by number, a device names no host in its handshake.
    authority.write(*files)
    node = await tls_node()
    url = node.url.replace("127.0.0.1", dialled)
    async with SigningDevice().connect(url, tls=authority.context()) as link:
        assert isinstance(await link.put(link.device.trust(SigningDevice())), Ok)


@pytest.mark.parametrize(("version", "served"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
async def test_tls_before_1_2_is_refused(
    tls_node: OpenNode, files: tuple[Path, Path], authority: Authority, version: str, served: bool
) -> None:
    serial = authority.write(*files)
    node = await tls_node()
    context = authority.context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if served:
        assert await served_serial(node.url, context) == serial
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await served_serial(node.url, context)


async def test_an_expired_certificate_is_warned_of_with_its_date(
    tls_node: OpenNode, files: tuple[Path, Path], authority: Authority, eventually: Eventually
) -> None:
    authority.write(*files, begins=-3 * DAY, ends=-2 * DAY)
    with capture_logs() as said:
        await tls_node()
        await eventually(lambda: any(line["event"] == "certificate_not_valid" for line in said))
    (warned,) = [line for line in said if line["event"] == "certificate_not_valid"]
    assert warned["log_level"] == "warning"
    assert f"expired on {now_utc() - 2 * DAY:%Y-%m-%d}" in warned["why"]


def test_a_certificate_says_what_is_wrong_with_its_time(authority: Authority, files: tuple[Path, Path]) -> None:
    authority.write(*files, begins=dt.timedelta(0), ends=DAY)
    certificate = ServerCertificate(*files)
    assert describe_expiry(certificate, now_utc()) == ""
    assert "not valid before" in describe_expiry(certificate, now_utc() - DAY)
    assert "expired on" in describe_expiry(certificate, now_utc() + 2 * DAY)
    assert certificate.host == "localhost"


def _missing_cert(_: Authority, cert: Path, key: Path) -> None:
    cert.unlink()


def _missing_key(_: Authority, cert: Path, key: Path) -> None:
    key.unlink()


def _no_pem(_: Authority, cert: Path, key: Path) -> None:
    cert.write_text("not a certificate")


def _no_key(_: Authority, cert: Path, key: Path) -> None:
    key.write_text("not a key")


def _swapped(_: Authority, cert: Path, key: Path) -> None:
    other = key.read_bytes()
    key.write_bytes(cert.read_bytes())
    cert.write_bytes(other)


def _other_key(authority: Authority, cert: Path, key: Path) -> None:
    authority.write(None, key)


def _locked(authority: Authority, cert: Path, key: Path) -> None:
    authority.write(cert, key, password=b"secret")


@pytest.mark.parametrize(
    ("spoil", "setting", "words"),
    [
        (_missing_cert, "tls_cert", "cannot be read: No such file"),
        (_missing_key, "tls_key", "cannot be read: No such file"),
        (_no_pem, "tls_cert", "not a certificate chain in PEM"),
        (_no_key, "tls_key", "no private key in PEM"),
        (_swapped, "tls_cert", "not a certificate chain in PEM"),
        (_other_key, "tls_key", "is not the key of the certificate"),
        (_locked, "tls_key", "locked with a password"),
    ],
)
def test_files_that_cannot_be_used_are_refused_in_words(
    authority: Authority,
    files: tuple[Path, Path],
    spoil: Callable[[Authority, Path, Path], None],
    setting: str,
    words: str,
) -> None:
    authority.write(*files)
    settings = Settings(data_dir=files[0].parent, tls_cert=files[0], tls_key=files[1])
    assert binding(settings).scheme == "wss"
    spoil(authority, *files)
    with pytest.raises(SettingError, match=words) as refused:
        binding(settings)
    assert refused.value.setting == setting


async def test_sighup_renews_the_certificate_of_a_running_hub(
    authority: Authority, files: tuple[Path, Path], tmp_path: Path, eventually: Eventually
) -> None:
    authority.write(*files)
    tls = ("--tls-cert", str(files[0]), "--tls-key", str(files[1]))
    async with process("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data"), *tls) as started:
        url = str((await ready(started))["url"])
        context = authority.context()
        async with SigningDevice().connect(url, tls=context) as link:
            second = authority.write(*files)
            started.send_signal(signal.SIGHUP)

            async def renewed() -> bool:
                return await served_serial(url, context) == second

            await eventually(renewed)
            assert isinstance(await link.put(link.device.trust(SigningDevice())), Ok)
        started.send_signal(signal.SIGTERM)
        assert await ended(started) == 0


async def test_without_tls_sighup_ends_the_hub(tmp_path: Path) -> None:
    async with process("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path)) as started:
        await ready(started)
        started.send_signal(signal.SIGHUP)
        assert await ended(started) == 0
