"""WebSocket for the hub: sockets in, whole binary messages out. It does not interpret the messages."""

from muster_hub.listener.listener import DRAIN_BATCH, DRAIN_PAUSE_S, Listener
from muster_hub.listener.peer import Handler, HttpAnswer, SocketDropCause, SocketPeer
from muster_hub.listener.settings import ListenerSettings

__all__ = [
    "DRAIN_BATCH",
    "DRAIN_PAUSE_S",
    "Handler",
    "HttpAnswer",
    "Listener",
    "ListenerSettings",
    "SocketDropCause",
    "SocketPeer",
]
