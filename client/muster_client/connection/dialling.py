"""Who a process of the device says that it is, and which hub it then trusts."""

import os

from muster_client.device.device import PROTOCOL, Device
from muster_protocol.connect import Dialled, Role
from muster_protocol.hub_keys import HubKey
from muster_protocol.ids import InstanceId

INSTANCE_BYTES = 16


def new_instance() -> InstanceId:
    """Name a new instance of the device."""
    return InstanceId(os.urandom(INSTANCE_BYTES))


def dialled(device: Device, role: Role, instance: InstanceId) -> Dialled:
    """Say who this process of the device is."""
    return Dialled(
        key=device.key,
        card=device.card(),
        client=device.client,
        instance=instance,
        role=role,
        # What this library speaks with a hub; what the card offers to peers may be less.
        protocol=PROTOCOL,
        origin=device.address.origin,
        pinned_hub=device.pinned_hub,
    )


def pin(device: Device, hub: HubKey) -> bool:
    """Pin a hub's key that has proven itself; True where it was not the pinned one before."""
    if device.pinned_hub == hub.fingerprint:
        return False
    device.pin_hub(hub.fingerprint)
    return True
