"""Names of devices and sessions: one spelling on the wire, several from people."""

import base64
from hashlib import sha256

import pytest

from muster_protocol.codec import convert
from muster_protocol.errors import Refused
from muster_protocol.frames import GetCard, GetSession
from muster_protocol.ids import Seed, client_id, parse_client_id, session_id
from muster_protocol.reasons import Reason

NAME = client_id("ed25519", bytes(range(32)))
GROUPS = [NAME[start : start + 8] for start in range(0, 32, 8)]


def _spelled(hashed: bytes) -> str:
    return base64.b32encode(sha256(hashed).digest()[:20]).decode().lower()


def test_a_name_is_spelled_from_a_hash_under_its_label() -> None:
    assert _spelled(b"muster/v1 client-id\0ed25519\0" + bytes(range(32))) == NAME
    session = session_id(NAME, Seed(b"x" * 16))
    assert session == _spelled(b"muster/v1 session-id\0" + NAME.encode() + b"\0" + b"x" * 16)


def test_a_name_depends_on_all_that_it_is_made_from() -> None:
    assert client_id("ed25519", bytes(range(1, 33))) != NAME
    assert client_id("other", bytes(range(32))) != NAME
    assert session_id(NAME, Seed(b"x" * 16)) != session_id(NAME, Seed(bytes(16)))


@pytest.mark.parametrize(
    "text",
    [
        NAME,
        NAME.upper(),
        NAME.title(),
        f"  {NAME}\n",
        f"{NAME}\r\n",
        " ".join(GROUPS),
        "-".join(GROUPS),
        " - ".join(GROUPS).upper(),
        "\t".join(NAME),
    ],
)
def test_what_people_write_is_accepted(text: str) -> None:
    assert parse_client_id(text) == NAME


@pytest.mark.parametrize(
    "text",
    [
        "",
        NAME[:-1],
        NAME + "a",
        NAME[:-1] + "1",
        NAME[:-1] + "8",
        NAME[:-1] + "=",
        NAME[:-1] + "\0",
        NAME[:-1] + "\N{LATIN SMALL LETTER A WITH ACUTE}",
        NAME[:-1] + "\N{FULLWIDTH LATIN SMALL LETTER A}",
        "_" + NAME[1:],
        f"muster:{NAME}",
        "\N{NO-BREAK SPACE}".join(GROUPS),
        NAME[:-1] + "\N{KELVIN SIGN}",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_client_id(text)
    assert refused.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "text", [f"{NAME}\n", f"\n{NAME}", NAME.upper(), NAME[:-1], NAME + "a", f"{NAME} ", NAME[:-1] + "1", "", None, 1]
)
def test_the_wire_has_one_spelling(text: object) -> None:
    assert convert({"t": "card.get", "id": 1, "client": NAME}, GetCard).client == NAME
    for struct, field in ((GetCard, "client"), (GetSession, "session")):
        with pytest.raises(Refused) as refused:
            convert({"t": struct.__struct_config__.tag, "id": 1, "after": 0, field: text}, struct)
        assert refused.value.reason is Reason.MALFORMED
