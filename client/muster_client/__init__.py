"""A device of Muster: identity, trust, policy, and the agent that answers for it.

The names here are the library's. They are loaded when first used, since a command line that only reads its own data
should not wait for sockets and ciphers that it does not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muster_client.agent import Agent, Asked, Policy
    from muster_client.connection.hub import Hub
    from muster_client.control.client import ControlClient
    from muster_client.device.device import Device
    from muster_client.device.session_request import SessionRequest
    from muster_client.sessions.session import Session

_HOMES = {
    "Agent": "muster_client.agent",
    "Asked": "muster_client.agent",
    "ControlClient": "muster_client.control.client",
    "Device": "muster_client.device.device",
    "Hub": "muster_client.connection.hub",
    "Policy": "muster_client.agent",
    "Session": "muster_client.sessions.session",
    "SessionRequest": "muster_client.device.session_request",
}

__all__ = ["Agent", "Asked", "ControlClient", "Device", "Hub", "Policy", "Session", "SessionRequest"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
