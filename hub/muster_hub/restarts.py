"""How often, and after what pauses, a child process is started again: the embedded store, or a worker."""

MAX_RESTARTS = 5
"""Restarts in a row; a process that then ran for CALM_S has them all again."""
CALM_S = 60.0
MAX_PAUSE_S = 5.0


class Restarts:
    """The restarts of one child process. The first pause is twice ``pause_s``, and each next one is twice as long."""

    __slots__ = ("_pause_s", "in_a_row")

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self.in_a_row = 0

    def ended(self, ran_s: float) -> None:
        """Note that the process ended after ``ran_s`` seconds."""
        if ran_s > CALM_S:
            self.in_a_row = 0

    def next_pause_s(self) -> float | None:
        """Count one more restart and return the pause before it in seconds; None when there were too many in a row."""
        self.in_a_row += 1
        if self.in_a_row > MAX_RESTARTS:
            return None
        return min(self._pause_s * 2.0**self.in_a_row, MAX_PAUSE_S)
