"""export.json: keys for applications (SPEC.md section 7.6)."""

from muster_protocol.export import MAX_LABEL_CHARS, export_key
from muster_protocol.ids import Hash
from muster_protocol.reasons import Reason
from vectors.topics.cast import epoch_key
from vectors.topics.forms import Json, Vector, accepted, refused

EPOCHS = {"one": Hash(b"\x01" * 32), "two": Hash(b"\x02" * 32)}
LABELS = {
    "one letter": "a",
    "words": "my-app files",
    "64 characters of one byte": "x" * MAX_LABEL_CHARS,
    "64 characters of four bytes": "\U0001f511" * MAX_LABEL_CHARS,
    "a letter with its accent": "caf\u00e9",
    "the same in two characters, another label": "cafe\u0301",
    "a zero byte": "my\0app",
}


def export() -> list[Vector]:
    """Return keys for several labels, lengths and epochs, and what is refused."""
    found = [_key(f"the label: {name}", "one", label, 32) for name, label in LABELS.items()]
    found += [_key(f"{length} bytes", "one", "my-app files", length) for length in (16, 17, 33, 64)]
    found.append(_key("another epoch", "two", "my-app files", 32))
    bad = {
        "no byte": ("my-app files", 0),
        "15 bytes": ("my-app files", 15),
        "65 bytes": ("my-app files", 65),
        "an empty label": ("", 32),
        "65 characters": ("x" * (MAX_LABEL_CHARS + 1), 32),
    }
    return found + [refused(name, _given("one", *given), Reason.MALFORMED, "rule") for name, given in bad.items()]


def _key(name: str, epoch: str, label: str, length: int) -> Vector:
    key = export_key(epoch_key("exported"), EPOCHS[epoch], label, length)
    return accepted(name, _given(epoch, label, length), {"key": key.hex()})


def _given(epoch: str, label: str, length: int) -> Json:
    epoch_hash, key = EPOCHS[epoch].hex(), epoch_key("exported").hex()
    return {"epoch_key": key, "epoch_hash": epoch_hash, "label": label, "length": length}
