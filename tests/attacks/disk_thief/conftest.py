"""A real hub, and the device whose disk a thief copies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.client.conftest import HubProcess, shared_hub

from muster_client import Device

__all__ = ["shared_hub"]


@pytest.fixture
def hub(shared_hub: HubProcess) -> HubProcess:
    """One hub for all thieves and victims: each victim is new."""
    return shared_hub


@pytest.fixture
def victim(tmp_path: Path, hub: HubProcess) -> Iterator[Device]:
    with Device.create(tmp_path / "victim", hub_url=hub.url) as victim:
        yield victim
