"""The introduction of a process of the device to the hub, and the pin of the hub's key."""

import os

from muster_client.connection.connection import HubConnection
from muster_client.device.device import Device
from muster_client.device.hub_address import HubAddress
from muster_protocol.connect import PROTOCOL, Dialled, Role
from muster_protocol.ids import RANDOM_ID_BYTES, InstanceId


def new_instance() -> InstanceId:
    """Return a random id for a new instance of the device."""
    return InstanceId(os.urandom(RANDOM_ID_BYTES))


def dialled(device: Device, address: HubAddress, role: Role, instance: InstanceId) -> Dialled:
    """Return the introduction of this process of the device at one address of its hub."""
    return Dialled(
        key=device.key,
        card=device.card(),
        client=device.client,
        instance=instance,
        role=role,
        # The versions for the hub; the card may offer fewer to peers.
        protocol=PROTOCOL,
        origin=address.origin,
        pinned_hub=device.pinned_hub,
        enrolment=device.hub.invitation,
    )


def pin(device: Device, connection: HubConnection) -> bool:
    """Pin the key of a hub that welcomed this device, and return whether it was not pinned before.

    The hub took the code of an invitation, if there was one. How its TLS was judged is remembered too.
    """
    hub = connection.hub
    if connection.by_hub_key is not None:
        device.hub.note_tls(by_hub_key=connection.by_hub_key)
    if device.hub.invitation is not None:
        device.hub.forget_invitation()
    if device.pinned_hub == hub.fingerprint:
        return False
    device.pin_hub(hub.fingerprint)
    return True
