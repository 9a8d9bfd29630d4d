"""TLS for which the hub's key vouches, from a device's side: what it accepts, and that it needs one try for it."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.integration.certificates import DAY, Authority, vouched
from tests.integration.client.conftest import free_port
from tests.integration.client.scripted_hub import scripted_hub

from muster_client import Device
from muster_client.connection.connection import Dial, HubConnection, open_connection
from muster_client.connection.dialling import dialled, new_instance, pin
from muster_client.connection.hub import shown_hub_key
from muster_client.connection.tls import read_authority, tls_ways
from muster_client.doctor import examine
from muster_client.doctor.findings import Health
from muster_client.errors import HubKeyChanged, HubUnreachable, Trouble
from muster_protocol.connect import Role
from muster_protocol.enrolment import Invitation
from muster_protocol.hub_keys import sign_hub_rotation
from muster_protocol.hub_tls import certify
from muster_protocol.ids import EnrolmentCode
from muster_protocol.keys import SigningKey

HUB, NEXT, THIRD, OTHER = (SigningKey.from_secret(bytes([number]) * 32) for number in range(1, 5))
LINKS = (sign_hub_rotation(1, HUB, NEXT.public), sign_hub_rotation(2, NEXT, THIRD.public))
YEAR = timedelta(days=365)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def device(tmp_path: Path, port: int) -> Iterator[Device]:
    """A device that was invited by the hub with the key ``HUB``."""
    invitation = Invitation(f"wss://127.0.0.1:{port}", HUB.fingerprint, EnrolmentCode(bytes(10)))
    with Device.create(tmp_path / "laptop", hub_url=invitation.url, invitation=invitation) as made:
        yield made


async def wait(_: object) -> None:
    """Leave the connection as it is, until the device ends it."""


@asynccontextmanager
async def connected(device: Device) -> AsyncIterator[HubConnection]:
    (address,) = device.addresses
    introduction = dialled(device, address, Role.CLI, new_instance())
    async with open_connection(Dial(address.url, introduction, device.token, tls=tls_ways(device))) as connection:
        pin(device, connection)
        yield connection


def by_hub(folder: Path, key: SigningKey = HUB, begins: timedelta = -DAY, ends: timedelta = DAY) -> ssl.SSLContext:
    links = LINKS if key is THIRD else ()
    return vouched(folder, lambda spki: certify(key, links, spki), begins=begins, ends=ends)


@pytest.mark.parametrize(("begins", "ends"), [(-DAY, DAY), (YEAR, 2 * YEAR), (-2 * YEAR, -YEAR)])
async def test_the_pinned_key_vouches_whatever_the_dates_say(
    tmp_path: Path, device: Device, port: int, begins: timedelta, ends: timedelta
) -> None:
    async with (
        scripted_hub(port, wait, key=HUB, tls=by_hub(tmp_path, HUB, begins, ends)),
        connected(device) as connection,
    ):
        assert connection.by_hub_key
        assert device.hub.by_hub_key


async def test_a_renewed_certificate_is_as_good(tmp_path: Path, device: Device, port: int) -> None:
    for _ in range(2):
        async with scripted_hub(port, wait, key=HUB, tls=by_hub(tmp_path)), connected(device) as connection:
            assert connection.by_hub_key


async def test_a_hub_key_that_was_rotated_twice_vouches_and_is_pinned(
    tmp_path: Path, device: Device, port: int
) -> None:
    tls = by_hub(tmp_path, THIRD)
    async with scripted_hub(port, wait, key=THIRD, rotations=LINKS, tls=tls), connected(device) as connection:
        assert connection.by_hub_key
        assert device.pinned_hub == THIRD.fingerprint


async def test_another_hubs_key_is_shown_to_the_person_who_may_trust_it(
    tmp_path: Path, device: Device, port: int
) -> None:
    async with scripted_hub(port, wait, key=OTHER, tls=by_hub(tmp_path, OTHER)):
        with pytest.raises(HubKeyChanged) as caught:
            async with connected(device):
                pass
        assert caught.value.shown == OTHER.fingerprint
        findings = [finding async for finding in examine(device.path)]
        assert [finding.check for finding in findings if finding.state is Health.FAIL] == ["hub_key"]
        device.pin_hub(await shown_hub_key(device))
        async with connected(device) as connection:
            assert connection.by_hub_key


async def test_a_device_without_a_pin_needs_an_authority_or_the_fingerprint(tmp_path: Path, port: int) -> None:
    with Device.create(tmp_path / "laptop", hub_url=f"wss://127.0.0.1:{port}") as device:
        async with scripted_hub(port, wait, key=HUB, tls=by_hub(tmp_path)):
            with pytest.raises(HubUnreachable) as caught:
                async with connected(device):
                    pass
            assert caught.value.trouble is Trouble.TLS_UNKNOWN_CA
            assert await shown_hub_key(device, HUB.fingerprint) == HUB.fingerprint


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The TLS handshakes that this process begins as a device; True: by the hub's key."""
    begun: list[bool] = []
    wrap = ssl.SSLContext.wrap_bio

    def noted(self: ssl.SSLContext, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        if not kwargs["server_side"]:
            begun.append(hasattr(self, "pinned"))
        return wrap(self, *args, **kwargs)

    monkeypatch.setattr(ssl.SSLContext, "wrap_bio", noted)
    return begun


async def test_what_worked_last_is_tried_first(tmp_path: Path, device: Device, port: int, tries: list[bool]) -> None:
    authority = Authority(tmp_path / "authority")
    device.trust_authority(read_authority(authority.file))

    async def takes(tls: ssl.SSLContext, *expected: bool) -> None:
        tries.clear()
        async with scripted_hub(port, wait, key=HUB, tls=tls), connected(device) as connection:
            assert connection.by_hub_key is expected[-1]
        assert tries == list(expected)

    issued = authority.issue().server_context()
    await takes(issued, True, False)
    await takes(issued, False)
    await takes(by_hub(tmp_path), False, True)
    await takes(by_hub(tmp_path), True)
    await takes(issued, True, False)


async def test_what_no_authority_knows_and_no_key_vouches_for_is_said_as_the_authority_says_it(
    tmp_path: Path, device: Device, port: int
) -> None:
    for remembered in (True, False):
        device.hub.note_tls(by_hub_key=remembered)
        async with scripted_hub(port, wait, key=HUB, tls=vouched(tmp_path, None)):
            with pytest.raises(HubUnreachable) as caught:
                async with connected(device):
                    pass
        assert caught.value.trouble is Trouble.TLS_UNKNOWN_CA


async def test_doctor_says_who_vouches(tmp_path: Path, device: Device, port: int) -> None:
    async with scripted_hub(port, wait, key=HUB, tls=by_hub(tmp_path)):
        findings = {finding.check: finding async for finding in examine(device.path)}
    assert findings["tls"].state is Health.OK
    assert "the hub's own key" in findings["tls"].sentence
    assert findings["hub_key"].state is Health.OK


async def test_another_hub_address_forgets_how_tls_was_judged(device: Device) -> None:
    device.hub.note_tls(by_hub_key=False)
    device.configure(type(device.settings)(hub_urls=("wss://other.example",)))
    assert device.hub.by_hub_key is None
