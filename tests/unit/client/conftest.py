"""Devices on disk, each with a clock that the test moves."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from muster_client.device.device import Device
from muster_protocol.ids import TimeMs

HUB_URL = "ws://127.0.0.1:7627"
START = TimeMs(1_800_000_000_000)


@dataclass
class ManualClock:
    now: TimeMs = START

    def __call__(self) -> TimeMs:
        return self.now

    def go_on(self, ms: int) -> None:
        self.now = TimeMs(self.now + ms)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def make_device(tmp_path: Path, clock: ManualClock) -> Iterator[Callable[[str], Device]]:
    """Make devices by name; they are closed after the test."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(Device.create(tmp_path / name, hub_url=HUB_URL, clock=clock))


@pytest.fixture
def laptop(make_device: Callable[[str], Device]) -> Device:
    return make_device("laptop")


@pytest.fixture
def nas(make_device: Callable[[str], Device]) -> Device:
    return make_device("nas")
