"""A hub as a process: what it says when it is ready, how it ends, and what it refuses to start with."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
from tests.integration.hub.device import WAIT_S, RefusedByHubError, SigningDevice
from tests.integration.hub.hub_process import ended, process, ready

from muster_protocol.closes import CloseCode


async def refusal(*arguments: str) -> str:
    async with process(*arguments) as started:
        async with asyncio.timeout(WAIT_S):
            _, said = await started.communicate()
        assert started.returncode == 2
        return said.decode()


async def test_it_runs_with_nothing_configured_and_says_where(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with process("--json", "--listen", "127.0.0.1:0", "--data-dir", str(data)) as started:
        told = await ready(started)
        assert json.loads((data / "hub.json").read_text()) == {
            name: told[name] for name in ("url", "fingerprint", "pid")
        }
        assert told["pid"] == started.pid
        assert (data / "hub.key").stat().st_mode & 0o777 == 0o600
        async with SigningDevice().connect(str(told["url"])) as link:
            assert link.device.handshake(str(told["url"])) is not None
            started.send_signal(signal.SIGTERM)
            assert await link.closed() == CloseCode.GOING_AWAY
            assert link.goaway is not None
        assert await ended(started) == 0
        assert not (data / "hub.json").exists()


async def test_what_it_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    arguments = ("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data"))
    device = SigningDevice()
    fingerprints, newest, put = set(), [], []
    for _ in range(2):
        async with process(*arguments) as started:
            told = await ready(started)
            fingerprints.add(told["fingerprint"])
            async with device.connect(str(told["url"])) as link:
                newest.append(link.welcome.newest_serial)
                await link.put(device.trust(SigningDevice()))
                put.append(device.serial)
            started.send_signal(signal.SIGINT)
            assert await ended(started) == 0
    assert len(fingerprints) == 1
    assert newest == [0, put[0]]


async def test_people_are_told_what_to_do_next(tmp_path: Path) -> None:
    async with process("--listen", "127.0.0.1:0", "--data-dir", str(tmp_path)) as started:
        assert started.stdout is not None
        async with asyncio.timeout(WAIT_S):
            said = (await started.stdout.readuntil(b"Ctrl-C")).decode()
    assert "muster init --hub ws://127.0.0.1:" in said
    assert str(tmp_path) in said
    assert "on the store's disk" in said


async def test_a_second_hub_on_the_same_folder_is_refused_by_name(tmp_path: Path) -> None:
    async with process("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path)) as started:
        told = await ready(started)
        said = await refusal("--listen", "127.0.0.1:0", "--data-dir", str(tmp_path))
        assert str(told["pid"]) in said
        assert "data_dir" in said


async def test_a_port_that_is_taken_is_refused_by_name(tmp_path: Path) -> None:
    async with process("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "one")) as started:
        address = str((await ready(started))["url"]).removeprefix("ws://")
        said = await refusal("--listen", address, "--data-dir", str(tmp_path / "two"))
        assert "listen" in said
        assert address in said


async def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "hub.key"
    key.write_bytes(os.urandom(32))
    key.chmod(0o640)
    said = await refusal("--data-dir", str(tmp_path))
    assert "chmod 600" in said


async def test_a_store_of_another_hub_is_refused(tmp_path: Path, store_url: str) -> None:
    listen = ("--json", "--listen", "127.0.0.1:0", "--store", store_url)
    async with process(*listen, "--data-dir", str(tmp_path / "one")) as started:
        await ready(started)
        assert "another key" in await refusal(*listen, "--data-dir", str(tmp_path / "two"))


async def test_a_devices_origin_has_to_be_named(tmp_path: Path) -> None:
    arguments = ("--json", "--listen", "127.0.0.1:0", "--origin", "wss://hub.example", "--data-dir", str(tmp_path))
    async with process(*arguments, "--enrolment", "open") as started:
        url = str((await ready(started))["url"])
        async with SigningDevice().connect(url, origin="wss://hub.example"):
            pass
        with pytest.raises(RefusedByHubError):
            async with SigningDevice().connect(url):
                pass
