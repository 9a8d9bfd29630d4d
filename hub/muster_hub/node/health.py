"""The answers to ``/healthz`` (the process runs) and ``/readyz`` (it accepts devices, and what its store keeps)."""

from typing import Any

import msgspec

from muster_hub.context import NodeContext
from muster_hub.listener import HttpAnswer
from muster_hub.store.bus import Bus
from muster_hub.store.durability import Durability

JSON = "application/json"
READY = 200
NOT_READY = 503


class Readiness:
    """Whether this node accepts devices, computed for each request without waiting."""

    __slots__ = ("_bus", "_context", "_kept", "stopping")

    def __init__(self, context: NodeContext, bus: Bus, kept: Durability) -> None:
        self._context = context
        self._bus = bus
        self._kept = kept
        self.stopping = False

    def reasons(self) -> list[str]:
        """Return why the node is not ready; empty if it is."""
        checks = {
            "stopping": self.stopping,
            "the store is away": not self._context.store.connected,
            "the node's lease is not fresh": not self._context.nodes.acting(),
            "the node is not subscribed to the bus": self._bus.unsubscribed,
        }
        return [reason for reason, holds in checks.items() if holds]

    def answer(self, path: str) -> HttpAnswer:
        """Return the answer to a plain HTTP request for one of the two paths."""
        if path == "/healthz":
            return HttpAnswer(READY, b"ok\n")
        reasons = self.reasons()
        return HttpAnswer(NOT_READY if reasons else READY, _json(self._report(reasons)), JSON)

    def _report(self, reasons: list[str]) -> dict[str, Any]:
        kept = self._kept
        return {
            "ready": not reasons,
            "reasons": reasons,
            "node": self._context.nodes.node,
            "connections": len(self._context.router),
            "store": {
                "version": kept.version,
                "appendfsync": kept.appendfsync,
                "replicas": kept.replicas,
                "verified": not kept.unverified,
                "full": self._context.store.full,
                "keeps": kept.sentence,
            },
        }


def _json(value: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
