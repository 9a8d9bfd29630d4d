"""A device that moves to another network, in network namespaces: the real address is gone, and another one is there.

Two namespaces, the hub's and the device's, with two links between them. The hub has an address that both links lead to.
"""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from muster_client import ControlClient, Device

HUB_ADDRESS = "10.77.0.1"
PATIENCE_S = 60
IP = shutil.which("ip") or "/usr/sbin/ip"


def ip(*words: str) -> None:
    subprocess.run([IP, *words], check=True, capture_output=True, timeout=PATIENCE_S)


class Networks:
    """The hub's place and the device's, and the links between them."""

    def __init__(self, hub: str, device: str) -> None:
        self.hub, self.device = hub, device

    def make(self) -> None:
        for place in (self.hub, self.device):
            ip("netns", "add", place)
            ip("-n", place, "link", "set", "lo", "up")
        ip("-n", self.hub, "address", "add", f"{HUB_ADDRESS}/32", "dev", "lo")
        for number in (1, 2):
            ip(
                *("link", "add", "name", f"there{number}", "netns", self.hub),
                *("type", "veth", "peer", "name", f"here{number}", "netns", self.device),
            )
            ip("-n", self.hub, "address", "add", f"10.77.{number}.1/24", "dev", f"there{number}")
            ip("-n", self.hub, "link", "set", f"there{number}", "up")

    def join(self, number: int) -> None:
        """Let the device into a network: an address, and the way to the hub."""
        ip("-n", self.device, "link", "set", f"here{number}", "up")
        ip("-n", self.device, "address", "add", f"10.77.{number}.2/24", "dev", f"here{number}")
        ip("-n", self.device, "route", "add", f"{HUB_ADDRESS}/32", "via", f"10.77.{number}.1")

    def leave(self, number: int) -> None:
        """Take the device out of a network: the address goes, and every way that began there."""
        ip("-n", self.device, "address", "flush", "dev", f"here{number}")
        ip("-n", self.device, "link", "set", f"here{number}", "down")

    def remove(self) -> None:
        for place in (self.hub, self.device):
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", place)


@pytest.fixture
def networks(tmp_path: Path) -> Iterator[Networks]:
    mark = f"{abs(hash(str(tmp_path))) % 10**6}"
    made = Networks(f"mhub{mark}", f"mdev{mark}")
    try:
        made.make()
        yield made
    finally:
        made.remove()


class Process:
    """A program in one of the places, whose lines are read as it says them."""

    def __init__(self, stack: ExitStack, place: str, *words: str) -> None:
        command = [IP, "netns", "exec", place, sys.executable, "-m", *words]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        stack.callback(self._end)

    def hear(self, **fields: object) -> dict[str, object]:
        """Wait for a line with these fields."""
        assert self._process.stdout is not None
        # The command line counts as hung after such a silence; without this the test would be too.
        watchdog = threading.Timer(PATIENCE_S, self._process.kill)
        watchdog.start()
        try:
            for line in self._process.stdout:
                said = json.loads(line)
                if all(said.get(name) == value for name, value in fields.items()):
                    return dict(said)
        finally:
            watchdog.cancel()
        raise AssertionError(f"it ended before it said {fields}")

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.mark.needs("ip", "network namespaces")
def test_an_agent_follows_its_machine_from_one_network_to_the_next(networks: Networks, tmp_path: Path) -> None:
    with ExitStack() as stack:
        data = ("--data-dir", str(tmp_path / "hub"))
        options = ("--listen", "0.0.0.0:7627", "--origin", f"ws://{HUB_ADDRESS}:7627", "--insecure", "--enrolment=open")
        hub = Process(stack, networks.hub, "muster_hub", "--json", *options, *data)
        assert hub.hear()["pid"]
        networks.join(1)
        folder = tmp_path / "laptop"
        Device.create(folder, hub_url=f"ws://{HUB_ADDRESS}:7627", insecure=True).close()
        agent = Process(stack, networks.device, "muster_client.cli", "--data-dir", str(folder), "agent", "--json")
        agent.hear(event="connected")
        control = ControlClient(folder)

        # Straight into another network: the old address is gone, and nothing on the way says so.
        networks.leave(1)
        networks.join(2)
        lost = agent.hear(event="disconnected")
        assert str(lost["cause"]).startswith("closed_")
        agent.hear(event="connected")
        status = control.status()
        assert status.connected_since is not None
        assert not status.keep_alive_learnt, "a move says nothing about idle connections"

        # Out of reach for a while, and then back: it does not wait for its back-off to end.
        networks.leave(2)
        agent.hear(event="disconnected")
        said = agent.hear(event="disconnected", cause="unreachable")
        assert "unreachable" in str(said["sentence"])
        networks.join(1)
        agent.hear(event="connected")
