"""Nodes of a hub, each a process of its own, on a store that the test owns."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.fault.server import StoreServer
from tests.fault.waiting import until
from tests.integration.hub.device import WAIT_S
from tests.integration.hub.hub_process import ready

from muster_hub.config.hub_key import load_or_create


class NotStartedError(Exception):
    """A node ended before it was ready; the end of its log says why."""


class NodeProcess:
    """A hub's node. What it logs goes to a file, so that it never waits for a reader."""

    def __init__(self, folder: Path, environ: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.url = ""
        self._environ = os.environ | (environ or {})
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def start(self, *arguments: str) -> None:
        """Start it and wait until it is ready; its exit code says why when it is not."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "muster_hub", "--json", "--log-format", "json", "--listen", "127.0.0.1:0"),
                *("--data-dir", str(self.folder), *arguments),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environ,
            )
        try:
            self.url = str((await ready(self._process))["url"])
        except ValueError:
            raise NotStartedError((self.folder / "log").read_text()[-2000:]) from None

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it stand still for the body's time."""
        self.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send_signal(signal.SIGCONT)

    async def ended(self) -> int:
        async with asyncio.timeout(WAIT_S):
            return await self.process.wait()

    async def end(self) -> None:
        """End it as its user would, without mercy where that takes too long."""
        if self._process is None:
            return
        if self.process.returncode is None:
            self.send_signal(signal.SIGTERM)
            try:
                await self.ended()
            except TimeoutError:
                self.process.kill()
        await self.process.wait()
        self.process._transport.close()  # type: ignore[attr-defined] # or its pipe warns when it is collected
        self._process = None

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of its log about one kind of event, oldest first."""
        lines = [json.loads(line) for line in (self.folder / "log").read_bytes().splitlines() if line.startswith(b"{")]
        return [line for line in lines if line["event"] == event]

    async def readyz(self) -> tuple[int, dict[str, Any]]:
        """Ask whether it takes devices: the status, and what it says."""
        host, _, port = self.url.removeprefix("ws://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(WAIT_S):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        return int(head.split()[1]), json.loads(body)

    async def until_ready(self, *, lasts_s: float = 60.0) -> None:
        async def ready() -> bool:
            return (await self.readyz())[0] == HTTPStatus.OK

        await until(ready, limit_s=lasts_s)

    async def until_no_more(self, reason: str) -> None:
        async def says_nothing() -> bool:
            return reason not in (await self.readyz())[1]["reasons"]

        await until(says_nothing)

    async def until_not_ready(self, reason: str) -> None:
        async def says_so() -> bool:
            return reason in (await self.readyz())[1]["reasons"]

        await until(says_so)


class Cluster:
    """The nodes of one hub on one store."""

    def __init__(self, folder: Path, store: StoreServer, stack: AsyncExitStack) -> None:
        self.store = store
        self.key = folder / "hub.key"
        self._folder = folder
        self._stack = stack
        load_or_create(self.key)

    async def node(self, name: str, *arguments: str, environ: dict[str, str] | None = None) -> NodeProcess:
        """Start one more node."""
        node = NodeProcess(self._folder / name, environ)
        self._stack.push_async_callback(node.end)
        await node.start("--store", self.store.url, "--key-file", str(self.key), *arguments)
        return node


@asynccontextmanager
async def cluster(folder: Path, store: StoreServer) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        yield Cluster(folder, store, stack)
