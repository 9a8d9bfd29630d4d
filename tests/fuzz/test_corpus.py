"""The fuzzer's corpus, replayed without the fuzzer: what was once found stays mended."""

from pathlib import Path

import pytest
from tests.fuzz import seeds
from tests.fuzz.codec_targets import ACCEPTED
from tests.fuzz.targets import TARGETS

FOLDERS = {path.name: path for path in sorted(seeds.CORPUS.iterdir())}
REACHED = {
    "value": {ACCEPTED, "malformed"},
    "frame": {ACCEPTED, "malformed", "unsupported"},
    "body": {ACCEPTED, "malformed", "unsupported", "self_target"},
    "card": {ACCEPTED, "malformed", "mismatch", "bad_signature"},
    "hello": {ACCEPTED, "malformed", "mismatch", "incompatible_protocol"},
    "door": {ACCEPTED, "malformed", "mismatch", "bad_signature", "hub_key_changed", "incompatible_protocol"},
    "listener": {
        *("101 ()", "101 (1000,)", "101 (1002,)", "101 (1007,)", "101 (1009,)", "101 (4005,)", "101 (4006,)"),
        *(
            "101 (4506,)",
            "200 ()",
            "400 ()",
            "403 ()",
            "404 ()",
            "405 ()",
            "408 ()",
            "414 ()",
            "426 ()",
            "431 ()",
            "505 ()",
        ),
    },
}
"""The ways out that the corpus of each target must know: a fuzzer starts badly from a corpus that knows few."""


def test_each_target_has_its_corpus() -> None:
    assert set(FOLDERS) == set(TARGETS) == set(REACHED) == set(seeds.SEEDS)


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_shows_no_defect_and_reaches_every_way_out(target: str) -> None:
    outcomes = {TARGETS[target](path.read_bytes()) for path in FOLDERS[target].iterdir()}
    assert outcomes >= REACHED[target]


def test_the_seeds_are_all_in_the_corpus(tmp_path: Path) -> None:
    seeds.write(tmp_path)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert made <= {path.relative_to(seeds.CORPUS) for path in seeds.CORPUS.rglob("*") if path.is_file()}
