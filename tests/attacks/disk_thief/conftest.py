"""A real hub, and the device whose disk a thief copies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.client.conftest import HubProcess, running_hub

from muster_client import Device


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with running_hub(tmp_path) as hub:
        yield hub


@pytest.fixture
def victim(tmp_path: Path, hub: HubProcess) -> Iterator[Device]:
    with Device.create(tmp_path / "victim", hub_url=hub.url) as victim:
        yield victim
