"""When to offer the hub again the restrictions that it has not taken, while connected (SPEC.md section 2.4)."""

import random
import time

from muster_client.connection.backoff import Backoff
from muster_client.device.device import Device


class Republishing:
    """The waits between two tries. Once the hub has taken every restriction, the next wait is short again."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._random = random.SystemRandom()
        self._backoff = Backoff()
        self._next_s = 0.0

    def due(self) -> bool:
        """Return whether an ``untrust`` or a ``revocation`` waits and it is time for the next try."""
        if time.monotonic() < self._next_s:
            return False
        waits = self._device.peers.restriction_waits()
        if not waits:
            self._backoff = Backoff()
        return waits

    def tried(self) -> None:
        """Record that all that waits is being offered now."""
        now = time.monotonic()
        self._backoff.lost(now)
        self._next_s = now + self._backoff.delay_s(self._random.random())
