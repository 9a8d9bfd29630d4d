"""How often things happened on this node since it started: plain integers by name."""


class Counters:
    """Counts by constant name. A name is part of the program and never made from input, so the table stays small."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def add(self, name: str, by: int = 1) -> None:
        """Count ``by`` more."""
        self._counts[name] = self._counts.get(name, 0) + by

    def count(self, name: str) -> int:
        """Return a count; 0 for what never happened."""
        return self._counts.get(name, 0)

    def all(self) -> dict[str, int]:
        """Return every count, by name in order."""
        return dict(sorted(self._counts.items()))
