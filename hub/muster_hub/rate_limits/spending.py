"""What devices may cause and leave on this node: each by itself, and all of one address together.

Identities cost nothing, so a limit for each device alone would limit no stranger. Devices that share an address share
its limits.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakValueDictionary

from muster_hub.rate_limits.token_bucket import Allowances, Rate
from muster_protocol.ids import ClientId

MAX_DEVICES = 20_000
"""Devices, and addresses, whose allowance is remembered; the least recently used one is forgotten first."""
ADDRESS_BURST_S = 10
"""An address may cause at once what it may in so many seconds: 200 devices begin to watch 200 peers each, together."""
ADDRESS_DEBT_S = 1
"""An address that owes more than it may cause in this time is served slowly, and owes no more than that."""
KEPT_AGAIN_S = 12 * 86_400
"""How long until an address that left all that it may at once may do so again. In the 90 days after which the first of
it expires, it leaves nine times as much."""
MIB = 1024 * 1024
LOOK_AGAIN_S = 1.0
"""How often a message that waits for its address is asked whether its connection is still there."""


class Payer(NamedTuple):
    """Who pays for work: a device, and its address as ``gate.neighbourhood`` counts it, or None."""

    client: ClientId
    near: str | None

    def alone(self) -> "Payer":
        """Return the device without its address."""
        return Payer(self.client, None)


class Spending:
    """The allowances of devices and addresses: units of work (see ``costs``), and bytes left in the store."""

    __slots__ = ("_addresses", "_devices", "_kept", "_turns")

    def __init__(self, device: Rate, *, units_per_address: float = 0, mib_per_address: float = 0) -> None:
        """Take the rate of a device, and what all devices of one address may cause and leave; 0: no limit."""
        self._devices = Allowances[ClientId](device, MAX_DEVICES)
        self._addresses = _allowances(units_per_address, ADDRESS_BURST_S * units_per_address, ADDRESS_DEBT_S)
        self._turns = WeakValueDictionary[str | None, asyncio.Lock]()  # of addresses for which a message waits
        self._kept = _allowances(mib_per_address * MIB / KEPT_AGAIN_S, mib_per_address * MIB)

    def charge(self, payer: Payer, units: float) -> None:
        """Charge work that was caused already; the next requests wait until it is paid."""
        now_s = time.monotonic()
        self._devices.charge(payer.client, units, now_s)
        # The debt of many devices that go on sending would outlast them, and lock out others at their address.
        if not self._addresses.overdraft_s(payer.near, now_s):
            self._addresses.charge(payer.near, units, now_s)

    async def arrive(self, payer: Payer, units: float, wanted: Callable[[], bool]) -> None:
        """Charge a message once its address owes no more than it may, or at once where it is ``wanted`` no longer.

        Those of one address wait in line, so that its debt does not grow with the number of its connections.
        """
        near, addresses = payer.near, self._addresses
        async with self._turns.setdefault(near, asyncio.Lock()):
            while wanted() and (owed_s := addresses.overdraft_s(near, time.monotonic())):  # noqa: ASYNC110 - time alone pays a debt
                await asyncio.sleep(min(owed_s, LOOK_AGAIN_S))
            self.charge(payer, units)

    def overdraft_s(self, client: ClientId) -> float:
        """Return in how many seconds the device owes no more than it may; 0 where it does not."""
        return self._devices.overdraft_s(client, time.monotonic())

    def lacking_ms(self, payer: Payer, units: float) -> int:
        """Return in how many ms device and address both have so many units; 0 where they do."""
        now_s = time.monotonic()
        device_ms = self._devices.lacking_ms(payer.client, units, now_s)
        return max(device_ms, self._addresses.lacking_ms(payer.near, units, now_s))

    def wait_ms(self, payer: Payer, units: float, *, asking: float = 0.0, kept: float = 0.0) -> int:
        """Take units, and bytes that the address leaves in the store, and return 0; or take nothing of either.

        Then return in how many ms to ask again. ``asking`` is what that costs by itself: without it, each try would
        spend what its wait brought.
        """
        if self.lacking_ms(payer, units):
            return self.lacking_ms(payer, units + asking)
        wait_ms = self._kept.wait_ms(payer.near, kept, time.monotonic()) if kept else 0
        if not wait_ms:
            self.charge(payer, units)
        return wait_ms

    def keep(self, near: str | None, size: float) -> None:
        """Charge an address for bytes that it left in the store already."""
        self._kept.charge(near, size, time.monotonic())

    def left_ms(self, near: str | None) -> int:
        """Return in how many ms the address may leave more in the store; 0 where it may now."""
        return self._kept.lacking_ms(near, 0, time.monotonic())


def _allowances(per_s: float, burst: float, debt_s: float = 0) -> Allowances[str]:
    return Allowances(Rate(per_s, burst, debt_s * per_s) if per_s else None, MAX_DEVICES)
