"""A process's wall clock, moved while it runs, by Debian's ``faketime``; its monotonic clocks go on as they are."""

import subprocess
from pathlib import Path

FOUND_BY = ("faketime", "-m", "-f", "+0s", "printenv", "LD_PRELOAD")


class ProcessClock:
    """The clock of the processes that are started with ``environ``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.shift(0)

    @property
    def environ(self) -> dict[str, str]:
        """What has to be in the environment of a process."""
        library = subprocess.run(FOUND_BY, capture_output=True, text=True, check=True).stdout.strip()
        return {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def shift(self, seconds: int) -> None:
        """Move the clock, away from that of the machine by so much."""
        draft = self._path.with_suffix(".new")
        draft.write_text(f"{seconds:+d}\n")
        draft.replace(self._path)
