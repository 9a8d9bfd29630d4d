"""Devices that trust and grant each other, and the sessions of each."""

from collections.abc import Callable

import pytest
from tests.unit.client.sessions.parts import DeviceParts, befriend

from muster_client.device.device import Device

MakeDevice = Callable[[str], Device]


@pytest.fixture
def ann(make_device: MakeDevice) -> DeviceParts:
    """Return the device that calls."""
    return DeviceParts(make_device("ann"))


@pytest.fixture
def bob(make_device: MakeDevice, ann: DeviceParts) -> DeviceParts:
    """Return the device that is called."""
    made = DeviceParts(make_device("bob"))
    befriend(ann, made)
    return made


@pytest.fixture
def cat(make_device: MakeDevice, ann: DeviceParts, bob: DeviceParts) -> DeviceParts:
    """Return a second device that is called."""
    made = DeviceParts(make_device("cat"))
    befriend(ann, bob, made)
    return made


@pytest.fixture
def dan(make_device: MakeDevice, ann: DeviceParts, bob: DeviceParts, cat: DeviceParts) -> DeviceParts:
    """Return a third device that is called."""
    made = DeviceParts(make_device("dan"))
    befriend(ann, bob, cat, made)
    return made
