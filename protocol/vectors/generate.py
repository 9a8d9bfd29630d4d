"""Make the files of test vectors, or with ``--into FOLDER`` make them elsewhere, to compare.

Run it as ``python protocol/vectors/generate.py``. Sealing never makes the same bytes twice: they are taken
from the existing sealed.json while they still open.
"""

import argparse
import json
from pathlib import Path

from vectors.topics import story
from vectors.topics.blocking_stories import blocking_stories
from vectors.topics.cards import cards
from vectors.topics.connecting import connect
from vectors.topics.continuity import continuity
from vectors.topics.decision import decision
from vectors.topics.departures import departures
from vectors.topics.encoding import encoding
from vectors.topics.enrolment import enrolment
from vectors.topics.epochs import epochs
from vectors.topics.exchange import exchange
from vectors.topics.export import export
from vectors.topics.forms import Vector
from vectors.topics.hub_tls import hub_tls
from vectors.topics.hub_word_stories import hub_word_stories
from vectors.topics.member_stories import member_stories
from vectors.topics.membership_stories import membership_stories
from vectors.topics.messages import messages
from vectors.topics.names import fingerprints, ids
from vectors.topics.orders import orders
from vectors.topics.roster_stories import roster_stories
from vectors.topics.sealed import Sealer, sealed
from vectors.topics.shapes import shapes
from vectors.topics.statements import statements
from vectors.topics.stories import stories
from vectors.topics.tables import closes, reasons, serials

FOLDER = Path(__file__).resolve().parent
SECTIONS = {
    "ids": "1.1",
    "fingerprints": "1.2, 1.3",
    "cards": "1.4, 2.5",
    "encoding": "2.1",
    "shapes": "2.1, 3.2",
    "statements": "2.2, 2.3, 2.6",
    "serials": "2.4",
    "frames": "3.2",
    "closes": "3.4",
    "connect": "4",
    "continuity": "4.4",
    "enrolment": "4.6",
    "hub_tls": "4.7",
    "decision": "6",
    "exchange": "7",
    "stories": "7, 8",
    "sealed": "7.5",
    "export": "7.6",
    "epochs": "8",
    "departures": "8.5",
    "reasons": "9",
}


def make(kept: Path) -> dict[str, list[Vector]]:
    """Return the vectors of each file; ``kept`` holds what was sealed before."""
    sealer = Sealer(kept)
    told = story.tell(sealer)
    made = {
        "ids": ids(),
        "fingerprints": fingerprints(),
        "cards": cards(),
        "encoding": encoding(),
        "shapes": shapes(),
        "stories": [
            *stories(told),
            *membership_stories(told),
            *blocking_stories(told),
            *hub_word_stories(told),
            *member_stories(told, sealer),
            *roster_stories(told),
        ],
        "statements": statements(told),
        "serials": serials(),
        "frames": messages(told),
        "closes": closes(),
        "connect": connect(),
        "continuity": continuity(),
        "enrolment": enrolment(),
        "hub_tls": hub_tls(),
        "decision": decision(),
        "exchange": [*exchange(told, sealer), *orders(told)],
        "export": export(),
        "epochs": epochs(told),
        "departures": departures(),
        "reasons": reasons(),
    }
    return made | {"sealed": sealed(sealer)}


def write(into: Path) -> None:
    """Write every file into a folder."""
    for topic, vectors in make(FOLDER / "sealed.json").items():
        names = [vector["name"] for vector in vectors]
        if len(set(names)) != len(names):
            raise SystemExit(f"{topic}: two vectors have one name")
        (into / f"{topic}.json").write_text(_document(topic, vectors), "utf-8")


def _document(topic: str, vectors: list[Vector]) -> str:
    """Return a file's text, with one vector a line, so that a change shows as the vectors that changed."""
    lines = ",\n".join(json.dumps(vector) for vector in vectors)
    head = f'"topic": {json.dumps(topic)}, "section": {json.dumps(SECTIONS[topic])}'
    return f'{{{head}, "vectors": [\n{lines}\n]}}\n'


def main() -> None:
    """Read the options and write the files."""
    options = argparse.ArgumentParser(description="Make the files of test vectors.")
    options.add_argument("--into", type=Path, default=FOLDER, help="the folder to write to (default: this one)")
    write(options.parse_args().into)


if __name__ == "__main__":
    main()
