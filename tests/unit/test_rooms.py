"""The diagrams of the rooms in the documents show the imports that there are."""

from pathlib import Path

import pytest
from tests.rooms import ROOT, SOURCES, diagrams, drawn, imports, layers, reduced

DOCUMENTS = {
    "muster_hub": ROOT / "hub" / "README.md",
    "muster_client": ROOT / "client" / "README.md",
    "muster_client.cli": ROOT / "client" / "README.md",
}


def test_each_package_with_rooms_has_its_diagram() -> None:
    assert DOCUMENTS.keys() == SOURCES.keys()
    assert {name for document in set(DOCUMENTS.values()) for name in diagrams(document)} == SOURCES.keys()


@pytest.mark.parametrize(("package", "document"), DOCUMENTS.items())
def test_a_diagram_shows_each_room_and_its_imports(package: str, document: Path) -> None:
    # An import that other arrows lead to too has no arrow of its own: ``python -m tests.rooms`` prints the diagrams.
    assert drawn(diagrams(document)[package]) == reduced(imports(package))


@pytest.mark.parametrize("package", SOURCES)
def test_no_room_imports_one_above_or_beside_it(package: str) -> None:
    place = {room: number for number, row in enumerate(layers(package)) for room in row}
    wrong = [(room, end) for room, ends in imports(package).items() for end in ends if place[end] <= place[room]]
    assert wrong == []
