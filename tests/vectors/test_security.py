"""SECURITY.md against the tests: each test that it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECURITY = (ROOT / "protocol/SECURITY.md").read_text("utf-8")
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_test_that_is_claimed_exists() -> None:
    claimed = _NAMED.findall(SECURITY)
    assert claimed
    missing = [
        f"{path}::{name}"
        for path, name in claimed
        if not (ROOT / path).is_file()
        or not re.search(rf"^(?:async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    ]
    assert not missing


def test_every_section_that_is_cited_exists() -> None:
    specification = (ROOT / "protocol/SPEC.md").read_text("utf-8")
    there = set(re.findall(r"^###? (\d+(?:\.\d)?) ", specification, re.MULTILINE))
    cited = {
        number
        for group in re.findall(r"\(((?:\d+(?:\.\d)?)(?:, \d+(?:\.\d)?)*)\)", SECURITY)
        for number in group.split(", ")
        if not number.startswith("0")
    }
    assert cited
    assert cited <= there
