"""shapes.json: bodies and messages in which one field has a value that it must refuse."""

from collections.abc import Iterator
from typing import Any

import msgpack
from tests.vectors.checks.forms import Json
from tests.vectors.checks.layers import layer_of
from tests.vectors.checks.statements import BODIES

from muster_protocol.codec import decode_closed
from muster_protocol.connect import Hello
from muster_protocol.errors import Refused
from muster_protocol.frames import decode_frame
from muster_protocol.reasons import Reason


def check_shapes(given: Json) -> Json:
    """Raise the refusal that all bad values have in common; return what came out where they have none."""
    good = bytes.fromhex(given["good"])
    if "bad" not in given:
        _decode(given, good)
        return {"taken": True}
    refusals: dict[tuple[Reason, str], Refused] = {}
    for name, data in bad_bytes(given):
        try:
            _decode(given, data)
        except Refused as refusal:
            refusals[refusal.reason, layer_of(refusal)] = refusal
        else:
            return {"taken": name}
    if len(refusals) > 1:
        return {"refused": sorted(map(str, refusals))}
    raise next(iter(refusals.values()))


def _decode(given: Json, data: bytes) -> None:
    if given["op"] == "message":
        decode_frame(data)
    else:
        decode_closed(data, BODIES.get(given["kind"], Hello))


def bad_bytes(given: Json) -> Iterator[tuple[str, bytes]]:
    """Return the encoded fields with each bad value in its place, and which it is."""
    for field, form in given["bad"].items():
        for name, value in form["values"].items():
            fields = msgpack.unpackb(bytes.fromhex(given["good"]))
            yield f"{field}: {name}", msgpack.packb(_changed(fields, form["path"], value))


def _changed(fields: Any, path: list[int | str], form: Any) -> Any:
    """Return decoded fields with the value of a vector at a path: left out, an array of equal items, or as it is."""
    place, *rest = path
    if rest:
        fields[place] = _changed(fields[place], rest, form)
    elif form is None:
        del fields[place]
    elif isinstance(fields, list) and place == len(fields):
        fields.append(_value(form))
    else:
        fields[place] = _value(form)
    return fields


def _value(form: Any) -> Any:
    if isinstance(form, dict):
        return [msgpack.unpackb(bytes.fromhex(form["of"]))] * form["times"]
    return msgpack.unpackb(bytes.fromhex(form))
