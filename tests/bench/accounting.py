"""What a process used, from the system's own accounts: CPU time to the nanosecond, and resident memory."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process so far."""
    ran_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        ran_ns += int((task / "schedstat").read_text().split()[0])
    return ran_ns / 1e9


def resident_bytes(pid: int) -> int:
    """Memory that a process holds, the anonymous part of it: code and files are shared and not counted."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise LookupError("no RssAnon")


@dataclass(frozen=True, slots=True)
class Used:
    """CPU time of the node, of its store and of the load generator between two moments, and the time between them."""

    hub_s: float
    store_s: float
    load_s: float
    wall_s: float

    @property
    def load_share(self) -> float:
        """The part of the wall time for which the generator kept a core busy: at 1.0 it would be the bottleneck."""
        return self.load_s / self.wall_s


@dataclass(frozen=True, slots=True)
class Moment:
    """The accounts at one moment."""

    hub: int
    store: int | None
    hub_s: float
    store_s: float
    load_s: float
    at_s: float

    @classmethod
    def now(cls, hub: int, store: int | None) -> Self:
        """Read the accounts of a node and its store, and of this process."""
        store_s = cpu_s(store) if store is not None else 0.0
        return cls(hub, store, cpu_s(hub), store_s, time.process_time(), time.monotonic())

    def until_now(self) -> Used:
        """Return what was used since."""
        then, now = self, Moment.now(self.hub, self.store)
        return Used(now.hub_s - then.hub_s, now.store_s - then.store_s, now.load_s - then.load_s, now.at_s - then.at_s)
