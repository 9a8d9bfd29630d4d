"""The private socket of a running node: who may ask, what comes back, and what rubbish does."""

import asyncio
import socket
import stat
from pathlib import Path

import pytest
import pytest_asyncio
from tests.integration.hub.conftest import StartNode
from tests.integration.hub.device import SigningDevice

from muster_hub.admin.address import SOCKET, address
from muster_hub.admin.client import NoHubError, ask
from muster_hub.admin.messages import (
    MAX_REQUEST_BYTES,
    AllowDevice,
    Changed,
    EndEnrolment,
    Enrolment,
    Failed,
    InvitationMade,
    ListEnrolment,
    MakeInvitation,
    read_reply,
)
from muster_hub.node.node import Node
from muster_protocol.enrolment import parse_invitation


@pytest_asyncio.fixture
async def invited(start_node: StartNode) -> Node:
    return await start_node(enrolment="invited")


def folder(node: Node) -> Path:
    return node.context.settings.data_dir


def raw(path: Path, sent: bytes) -> bytes:
    """Send bytes as they are, and return all that comes back until the hub closes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(20)
        with address(path) as name:
            connection.connect(name)
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as reader:
            return reader.read()


async def test_the_socket_is_private_and_goes_with_the_hub(invited: Node) -> None:
    path = folder(invited) / SOCKET
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_ISSOCK(path.stat().st_mode)


async def test_an_invitation_names_the_hub_and_its_key(invited: Node) -> None:
    made = await asyncio.to_thread(ask, folder(invited), MakeInvitation())
    assert isinstance(made, InvitationMade)
    invitation = parse_invitation(made.invitation)
    assert (invitation.url, invitation.hub) == (invited.url, invited.fingerprint)
    async with SigningDevice().connect(invited.url, enrolment=invitation.code):
        pass


async def test_codes_and_devices_are_listed_and_taken_back(invited: Node) -> None:
    device = SigningDevice()
    assert await asyncio.to_thread(ask, folder(invited), AllowDevice(client=device.client)) == Changed(changed=True)
    assert await asyncio.to_thread(ask, folder(invited), AllowDevice(client=device.client)) == Changed(changed=False)
    await asyncio.to_thread(ask, folder(invited), MakeInvitation())
    listed = await asyncio.to_thread(ask, folder(invited), ListEnrolment())
    assert isinstance(listed, Enrolment)
    assert [each.client for each in listed.devices] == [device.client]
    (code,) = listed.codes
    for what in (code.name, device.client):
        assert await asyncio.to_thread(ask, folder(invited), EndEnrolment(what=what)) == Changed(changed=True)
    emptied = await asyncio.to_thread(ask, folder(invited), ListEnrolment())
    assert emptied == Enrolment(which="invited", codes=(), devices=())


async def test_an_open_hub_makes_no_invitation(node: Node) -> None:
    answer = await asyncio.to_thread(ask, folder(node), MakeInvitation())
    assert isinstance(answer, Failed)
    assert "open" in answer.sentence


@pytest.mark.parametrize(
    "sent",
    [
        b"\n",
        b"nonsense\n",
        b'{"verb":"enrolment.code","v":2}\n',
        b'{"verb":"unknown","v":1}\n',
        b'{"verb":"enrolment.allow","v":1,"client":"A"}\n',
        b'{"verb":"enrolment.code","v":1,"more":1}\n',
        b"\xff\xfe\n",
        b"[" * 2_000 + b"\n",
    ],
)
async def test_what_is_no_request_gets_a_sentence(invited: Node, sent: bytes) -> None:
    answer = read_reply(await asyncio.to_thread(raw, folder(invited) / SOCKET, sent))
    assert isinstance(answer, Failed)


async def test_a_line_without_an_end_is_dropped_and_others_are_served(invited: Node) -> None:
    assert await asyncio.to_thread(raw, folder(invited) / SOCKET, b"x" * (3 * MAX_REQUEST_BYTES)) == b""
    assert isinstance(await asyncio.to_thread(ask, folder(invited), ListEnrolment()), Enrolment)


async def test_without_a_hub_the_command_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(NoHubError, match=str(tmp_path)):
        ask(tmp_path, ListEnrolment())


async def test_a_socket_that_a_killed_hub_left_is_nobody(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left, address(tmp_path / SOCKET) as name:
        left.bind(name)
    with pytest.raises(NoHubError):
        ask(tmp_path, ListEnrolment())


async def test_a_deep_folder_is_reached(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound, address(deep / SOCKET) as name:
        bound.bind(name)
        assert (deep / SOCKET).is_socket()
