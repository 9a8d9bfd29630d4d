"""A device of Muster: identity, trust, grants, and the agent that answers for it.

The names in ``__all__``, here and in ``views``, ``events``, ``errors``, ``paths``, ``control``, ``doctor``,
``service_unit`` and ``visible``, are the library's public ones. The names here are loaded at their first use, so that
a command line that only reads its own data does not wait for sockets and ciphers that it does not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muster_client.agent import Agent
    from muster_client.connection.hub import Hub, shown_hub_key
    from muster_client.connection.statement_sync import PublishResult
    from muster_client.connection.tls import read_authority
    from muster_client.control.client import ControlClient
    from muster_client.device.device import Device
    from muster_client.device.session_request import DEFAULT_SESSION_MS, SessionRequest
    from muster_client.device.settings import DeviceSettings
    from muster_client.device.trust_book import DEFAULT_GRANT_MS
    from muster_client.sessions.answering import Asked, Policy
    from muster_client.sessions.session import Session

_MODULES = {
    "DEFAULT_GRANT_MS": "muster_client.device.trust_book",
    "DEFAULT_SESSION_MS": "muster_client.device.session_request",
    "Agent": "muster_client.agent",
    "Asked": "muster_client.sessions.answering",
    "ControlClient": "muster_client.control.client",
    "Device": "muster_client.device.device",
    "DeviceSettings": "muster_client.device.settings",
    "Hub": "muster_client.connection.hub",
    "Policy": "muster_client.sessions.answering",
    "PublishResult": "muster_client.connection.statement_sync",
    "Session": "muster_client.sessions.session",
    "SessionRequest": "muster_client.device.session_request",
    "read_authority": "muster_client.connection.tls",
    "shown_hub_key": "muster_client.connection.hub",
}

__all__ = [
    "DEFAULT_GRANT_MS",
    "DEFAULT_SESSION_MS",
    "Agent",
    "Asked",
    "ControlClient",
    "Device",
    "DeviceSettings",
    "Hub",
    "Policy",
    "PublishResult",
    "Session",
    "SessionRequest",
    "read_authority",
    "shown_hub_key",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
