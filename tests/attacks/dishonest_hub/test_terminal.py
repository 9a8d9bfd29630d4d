"""A hub, or a server in its place, whose words would command the terminal of a person or reverse what it shows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.attacks.dishonest_hub.test_redirects import redirecting
from tests.command_lines import call
from tests.integration.client.conftest import free_port
from tests.integration.client.scripted_hub import scripted_hub
from websockets.asyncio.server import ServerConnection

from muster_client import Device

TERMINAL = "a\x1b[2J\x07\x9b2J\x7f\r\nerror: \u202ereversed\u2066\u200b\u2028b"
OTHER = "l6fxrmdh7fuf5d7e3fwq2kvvht562csd"
COMMANDS = (("who",), ("why", "nas"), ("why", "nas", "me"), ("session", "list"), ("doctor",), ("trust", "list"))


async def lie(connection: ServerConnection) -> None:
    """Answer every request with an error, or with a decision whose checks have names of the hub's own."""
    async for message in connection:
        assert isinstance(message, bytes)
        request: dict[str, Any] = msgspec.msgpack.decode(message)
        reply: dict[str, Any] = {"re": request["id"]}
        if request["t"] == "why":
            trace = [[TERMINAL, True], ["trust", True]]
            await connection.send(msgspec.msgpack.encode(reply | {"t": "decision", "reason": None, "trace": trace}))
        reply |= {"t": "error", "reason": "unknown_client", "detail": TERMINAL}
        await connection.send(msgspec.msgpack.encode(reply))


async def run(folder: Path, *arguments: str) -> str:
    """Run a command of the device, and return all that it wrote."""
    return (await run_to_end(folder, *arguments))[1]


async def run_to_end(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command of the device in this process, beside its hub; return its exit code and all that it wrote."""
    done = await asyncio.to_thread(call, folder, *arguments)
    return done.code, done.out + done.err


@asynccontextmanager
async def device_at(folder: Path, port: int) -> AsyncIterator[Path]:
    with Device.create(folder, hub_url=f"ws://127.0.0.1:{port}") as device:
        device.peers.trust(OTHER, bytes(32), "nas")  # type: ignore[arg-type]
    yield folder


def check(written: str) -> None:
    lines = written.split("\n")
    assert lines.pop() == ""
    assert [line for line in lines if not line.isprintable()] == []
    assert [line for line in lines if "error: reversed" in line[:20]] == []


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_no_word_of_a_hub_commands_the_terminal(tmp_path: Path, command: tuple[str, ...], as_json: bool) -> None:
    port = free_port()
    async with scripted_hub(port, lie), device_at(tmp_path / "laptop", port) as folder:
        written = await run(folder, *command, *(["--json"] if as_json else []))
    assert written
    check(written)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("command", [("who",), ("doctor",)], ids=" ".join)
async def test_no_http_header_commands_the_terminal(tmp_path: Path, command: tuple[str, ...], as_json: bool) -> None:
    async with (
        redirecting("ws://\x9b2J\u202e\u200b/".encode(), 302) as port,
        device_at(tmp_path / "laptop", port) as folder,
    ):
        written = await run(folder, *command, *(["--json"] if as_json else []))
    assert "redirects to" in written
    check(written)
