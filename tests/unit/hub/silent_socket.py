"""A socket that the gate counts, without anything behind it."""


class SilentSocket:
    """Keeps the hub waiting, unless told otherwise, and remembers whether it was reset."""

    def __init__(self, *, waits_for_peer: bool = True) -> None:
        self.waits_for_peer = waits_for_peer
        self.was_reset = False

    def abort(self) -> None:
        self.was_reset = True
