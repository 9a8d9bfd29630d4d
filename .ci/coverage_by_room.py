"""Print the branch coverage of each room, from the report that ``coverage json`` wrote.

A room is a folder of a package, with all that it holds. The modules beside the rooms count as one. The figure is the
part of all lines and branches that ran.

Usage: python .ci/coverage_by_room.py REPORT
"""

import json
import sys
from collections import Counter
from pathlib import Path

PACKAGES = ("protocol/muster_protocol", "client/muster_client", "hub/muster_hub")
COMMAND_LINE = "client/muster_client/cli"
ENOUGH_PERCENT = 90


def room_of(path: str) -> str:
    """Return the room of a file. The command line has rooms of its own."""
    folders = Path(path).parent.parts
    depth = 4 if path.startswith(f"{COMMAND_LINE}/") else 3
    return "/".join(folders[:depth])


def totals(report: Path) -> dict[str, Counter[str]]:
    """Return the counts of coverage.py, summed over each room."""
    rooms: dict[str, Counter[str]] = {}
    for path, file in json.loads(report.read_text())["files"].items():
        if path.startswith(PACKAGES):
            counts = {name: count for name, count in file["summary"].items() if isinstance(count, int)}
            rooms.setdefault(room_of(path), Counter()).update(counts)
    return rooms


def percent(counts: Counter[str]) -> float:
    """Return the part of the lines and branches that is covered."""
    all_of_it = counts["num_statements"] + counts["num_branches"]
    return 100 * (counts["covered_lines"] + counts["covered_branches"]) / all_of_it if all_of_it else 100.0


def main() -> None:
    """Print one row for each room, and mark those under ENOUGH_PERCENT."""
    rooms = totals(Path(sys.argv[1]))
    rooms["all"] = sum(rooms.values(), Counter())
    width = max(map(len, rooms))
    print(f"{'room':<{width}}   lines  branches  covered")  # noqa: T201
    for room, counts in rooms.items():
        covered = percent(counts)
        mark = f"  under {ENOUGH_PERCENT} %" if covered < ENOUGH_PERCENT else ""
        lines, branches = counts["num_statements"], counts["num_branches"]
        print(f"{room:<{width}}  {lines:6}  {branches:8}  {covered:5.1f} %{mark}")  # noqa: T201


if __name__ == "__main__":
    main()
