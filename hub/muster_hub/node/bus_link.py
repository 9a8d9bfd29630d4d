"""The link from a node's services to its bus, which opens after they are made."""

from muster_hub.store.bus import Bus


class BusLink:
    """The bus of one node, once it is open (a ``routing.services.MessageBus``)."""

    __slots__ = ("_bus",)

    def __init__(self) -> None:
        self._bus: Bus | None = None

    def attach(self, bus: Bus) -> None:
        """Use this bus from now on."""
        self._bus = bus

    @property
    def unsubscribed(self) -> bool:
        """Whether messages of other nodes may be missed now."""
        return self._bus is None or self._bus.unsubscribed

    def publish(self, node: str, payload: bytes) -> None:
        """Send a message to a node, without waiting; the message may be lost, and is while the bus is not open.

        ValueError above ``bus.MAX_PAYLOAD_BYTES``.
        """
        if self._bus is not None:
            self._bus.publish(node, payload)
