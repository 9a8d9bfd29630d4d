"""An attacker between an invited device and its hub that ends TLS itself: it gets no byte, with any certificate."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.integration.certificates import served_extension, vouched
from tests.integration.client.conftest import HubProcess, running_hub

from muster_client import Device, Hub
from muster_client.errors import HubKeyChanged, HubUnreachable, Trouble
from muster_hub.admin.client import ask
from muster_hub.admin.messages import InvitationMade, MakeInvitation
from muster_protocol.codec import decode_closed, encode
from muster_protocol.enrolment import Invitation, parse_invitation
from muster_protocol.hub_keys import HubRotation, SignedHubRotation, sign_hub_rotation
from muster_protocol.hub_tls import HubVoucher, certify
from muster_protocol.keys import SigningKey

Show = Callable[[bytes, bytes], bytes]
"""What he shows, of the extension that the hub shows and for his own TLS key."""
OWN = SigningKey.from_secret(bytes(range(32)))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("between")
    with running_hub(folder, "--tls", "own", "--enrolment", "invited", scheme="wss") as started:
        yield started


def invited(hub: HubProcess) -> Invitation:
    made = ask(hub.data, MakeInvitation())
    assert isinstance(made, InvitationMade)
    return parse_invitation(made.invitation)


@asynccontextmanager
async def between(tls: ssl.SSLContext) -> AsyncIterator[tuple[str, bytearray]]:
    """End TLS on a port; yield its URL, and what came through."""
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


async def test_an_invited_device_gets_through_to_its_hub(hub: HubProcess, tmp_path: Path) -> None:
    invitation = invited(hub)
    assert invitation.url == hub.url
    with Device.create(tmp_path / "laptop", hub_url=invitation.url, invitation=invitation) as device:
        for _ in range(2):
            async with Hub.connect(device) as connected:
                assert connected.fingerprint == invitation.hub
        assert device.hub.invitation is None


def copied(seen: bytes, _spki: bytes) -> bytes:
    return seen


def rubbish(_seen: bytes, _spki: bytes) -> bytes:
    return b"\xff" * 64


def of_his_own(_seen: bytes, spki: bytes) -> bytes:
    return certify(OWN, (), spki)


def as_if_followed(seen: bytes, spki: bytes) -> bytes:
    """Claim that the hub's key led to his own; he signs that himself."""
    hub_key = decode_closed(seen, HubVoucher).hub_key
    said = sign_hub_rotation(1, OWN, OWN.public)
    body = encode(HubRotation(number=1, old_key=hub_key, new_key=OWN.public))
    return certify(OWN, (SignedHubRotation(body, said.signature),), spki)


@pytest.mark.parametrize(
    ("show", "trouble"),
    [
        (None, Trouble.TLS_UNKNOWN_CA),
        (copied, Trouble.TLS_KEY_NOT_PROVEN),
        (rubbish, Trouble.TLS_KEY_NOT_PROVEN),
        (as_if_followed, Trouble.TLS_KEY_NOT_PROVEN),
        (of_his_own, None),
    ],
)
async def test_who_ends_tls_between_gets_no_byte_of_the_invitation(
    hub: HubProcess, tmp_path: Path, show: Show | None, trouble: Trouble | None
) -> None:
    invitation = invited(hub)
    extension = None if show is None else partial(show, await served_extension(hub.port))
    async with between(vouched(tmp_path, extension)) as (url, heard):
        reached = Invitation(url, invitation.hub, invitation.code)
        with Device.create(tmp_path / "laptop", hub_url=url, invitation=reached) as device:
            with pytest.raises((HubUnreachable, HubKeyChanged)) as caught:
                async with Hub.connect(device):
                    pass
            assert device.hub.invitation == invitation.code
    assert heard == b""
    if trouble is None:
        assert isinstance(caught.value, HubKeyChanged)
        assert caught.value.shown == OWN.fingerprint
    else:
        assert isinstance(caught.value, HubUnreachable)
        assert caught.value.trouble is trouble
