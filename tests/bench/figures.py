"""What was measured: one figure a row, over several repeats, beside its floor and its target."""

from statistics import median

from msgspec import Struct

MICRO = 1e6


class Figure(Struct, kw_only=True):
    """One row. ``values`` are those of the repeats; ``store`` the store's share of each, in the same unit."""

    name: str
    unit: str
    values: list[float]
    store: list[float] = []
    floor: float | None = None
    floor_is: str = ""
    target: float | None = None
    load_share: float | None = None
    """The part of the time for which the load generator kept a core busy; None where that says nothing."""

    @property
    def median(self) -> float:
        """The middle value."""
        return median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return min(self.values), max(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.median <= self.target


def percentile(values: list[float], part: float) -> float:
    """Return the value below which this part of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
