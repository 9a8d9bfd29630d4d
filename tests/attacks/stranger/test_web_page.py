"""A web page that gives its own name the hub's address, so that a browser lets it read the hub's answers."""

from pathlib import Path

import pytest
from tests.integration.hub.hub_process import process, ready
from tests.rubbish.peers import Door


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_page_reads_nothing_of_the_hub_under_its_own_name(tmp_path: Path, path: str) -> None:
    arguments = ("--origin", "wss://hub.example", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path))
    async with process("--json", *arguments) as hub:
        port = int(str((await ready(hub))["url"]).rpartition(":")[2])
        door = Door("127.0.0.1", port)
        for name, status in (("page.example", 421), ("hub.example", 200), ("127.0.0.1", 200), ("localhost", 200)):
            answer = await door.answer(f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode())
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()), name
            assert (b'"node"' in answer or answer.endswith(b"ok\n")) == (status == 200)
