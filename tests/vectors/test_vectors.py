"""Every test vector against the code, and the files themselves against the program that makes them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.vectors.checks.table import CHECKS, outcome, wanted

FOLDER = Path(__file__).resolve().parents[2] / "protocol/vectors"
LAYERS = {"encoding", "shape", "key", "signature", "rule", "sealing"}


def _files() -> list[Path]:
    return sorted(FOLDER.glob("*.json"))


def _vectors(path: Path) -> list[dict[str, Any]]:
    document = json.loads(path.read_text("utf-8"))
    assert document["topic"] == path.stem
    vectors: list[dict[str, Any]] = document["vectors"]
    return vectors


def _all() -> list[Any]:
    return [
        pytest.param(path.stem, vector, id=f"{path.stem}: {vector['name']}")
        for path in _files()
        for vector in _vectors(path)
    ]


def test_there_is_a_check_for_each_file_and_a_file_for_each_check() -> None:
    assert {path.stem for path in _files()} == set(CHECKS)


@pytest.mark.parametrize("topic", CHECKS)
def test_a_file_has_vectors_of_the_agreed_form(topic: str) -> None:
    vectors = _vectors(FOLDER / f"{topic}.json")
    assert vectors
    assert len({vector["name"] for vector in vectors}) == len(vectors)
    for vector in vectors:
        outcome = set(vector) - {"name", "input"}
        assert outcome in ({"expect"}, {"refused"}), vector["name"]
        assert outcome == {"expect"} or vector["refused"]["layer"] in LAYERS, vector["name"]


def test_the_readme_names_each_field() -> None:
    named = set(re.findall(r"[`\"]([a-z0-9_]+)[`\"]", (FOLDER / "README.md").read_text("utf-8")))
    parts = [
        part for path in _files() for vector in _vectors(path) for part in (vector["input"], vector.get("expect", {}))
    ]
    assert sorted({field for part in parts for field in part} - named) == []


@pytest.mark.parametrize(("topic", "vector"), _all())
def test_vector(topic: str, vector: dict[str, Any]) -> None:
    assert outcome(topic, vector["input"]) == wanted(vector)


def test_the_generator_makes_the_same_files_again(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "generate.py"), "--into", str(tmp_path)]
    subprocess.run(command, check=True, timeout=120)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in _files()}
    different = [path.name for path in _files() if (tmp_path / path.name).read_bytes() != path.read_bytes()]
    assert not different
