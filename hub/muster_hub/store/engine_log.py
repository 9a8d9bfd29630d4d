"""Why the embedded store's server ended, in words, from the end of its log."""

import os
from pathlib import Path

TAIL_BYTES = 16_384
MAX_LINE = 200
_DISK_FULL = ("no space left on device", "disk quota exceeded")
_WORDS = (
    (("cannot allocate memory", "out of memory"), "the machine has no memory left for it"),
    (
        ("invalid aof manifest", "bad file format", "unexpected end of file", "bad rdb", "wrong signature"),
        "its files are damaged",
    ),
    (("permission denied", "read-only file system"), "it may not write its files"),
    (("too many open files",), "it may not open enough files"),
)


def tail(log: Path) -> str:
    """Return the end of the log, TAIL_BYTES at most; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def in_words(log: Path, returncode: int | None) -> str:
    """Return why the server ended, as far as its log and its exit status tell."""
    said = tail(log)
    lower = said.lower()
    if any(phrase in lower for phrase in _DISK_FULL):
        return f"the disk that holds {log.parent} is full; free some space"
    for phrases, words in _WORDS:
        if any(phrase in lower for phrase in phrases):
            return f"{words} (see {log})"
    if returncode is not None and returncode < 0:
        return f"it was killed by signal {-returncode}"
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    return f"it ended with status {returncode}: {last[:MAX_LINE]}"
