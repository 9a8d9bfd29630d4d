"""shapes.json: the values for which each field refuses (SPEC.md sections 2.1 and 3.2).

They are made from the types of the code: a new field gets its vectors by itself.
"""

from collections.abc import Iterator

import msgpack
from msgspec import NODEFAULT
from msgspec.inspect import Field, StructType, Type, VarTupleType, type_info

from muster_protocol.connect import Hello
from muster_protocol.frames import FRAMES
from muster_protocol.reasons import Reason
from muster_protocol.signed import Body
from vectors.topics.forms import Json, Vector, accepted, refused
from vectors.topics.samples import Values, bad, good, plain

LONG = 32
"""An array with more items than this is in the file as their number and one of them."""


def shapes() -> list[Vector]:
    """Return for each body and message one that is taken, then the values for which each field refuses it."""
    seen: set[type] = set()
    return [*_of_all("body", _bodies(), seen), *_of_all("message", FRAMES, seen)]


def _bodies() -> dict[str, type[Body]]:
    return {body.KIND.value: body for body in _with_kind(Body)} | {"hello": Hello}


def _with_kind(body: type[Body]) -> Iterator[type[Body]]:
    for each in body.__subclasses__():
        if hasattr(each, "KIND"):
            yield each
        yield from _with_kind(each)


def _of_all(op: str, structs: Json, seen: set[type]) -> Iterator[Vector]:
    for kind, struct in structs.items():
        name, info = f"{op} {kind}", type_info(struct)
        given = {"op": op, "kind": kind, "good": _packed(good(info))}
        yield accepted(name, given, {"taken": True})
        if op == "body":
            yield refused(f"{name}, another version", given | {"bad": OTHERS}, Reason.UNSUPPORTED, "encoding")
            yield refused(f"{name}, no version", given | {"bad": NONE}, Reason.MALFORMED, "encoding")
        fields = {field: _bad(path, values) for field, path, values in _fields(info, (), seen)}
        if fields:
            yield refused(f"{name}, values that its fields refuse", given | {"bad": fields}, Reason.MALFORMED, "shape")


_Path = tuple[int | str, ...]
_Refusals = Iterator[tuple[str, _Path, Values]]
LEFT_OUT = object()


def _fields(kind: Type, path: _Path, seen: set[type]) -> _Refusals:
    """Return each field of a struct, also of a struct within it that was not met before."""
    if not isinstance(kind, StructType) or kind.cls in seen:
        return
    seen.add(kind.cls)
    for place, field in enumerate(kind.fields):
        if field.encode_name != "v":
            yield from _field(field, (*path, place if kind.array_like else field.encode_name), seen)
    if kind.array_like:
        yield "one more", (*path, len(kind.fields)), {"nil": None, "a number": 1}


def _field(field: Field, path: _Path, seen: set[type]) -> _Refusals:
    left_out: Values = {"left out": LEFT_OUT} if field.default is NODEFAULT else {}
    kind = plain(field.type)
    name = field.encode_name
    yield name, path, bad(field.type) | left_out
    if isinstance(kind, VarTupleType):
        name, path, kind = f"{name}[0]", (*path, 0), plain(kind.item_type)
        yield name, path, bad(kind)
    for inner, inner_path, values in _fields(kind, path, seen):
        yield f"{name}.{inner}", inner_path, values


def _bad(path: _Path, values: Values) -> Json:
    return {"path": list(path), "values": {name: _shown(value) for name, value in values.items()}}


def _shown(value: object) -> object:
    if value is LEFT_OUT:
        return None
    if isinstance(value, list) and len(value) > LONG:
        return {"times": len(value), "of": _packed(value[0])}
    return _packed(value)


def _packed(value: object) -> str:
    packed: bytes = msgpack.packb(value)
    return packed.hex()


OTHERS = {"v": _bad((0,), {"0": 0, "2": 2, "the largest": 2**64 - 1})}
NONE = {"v": _bad((0,), {"nil": None, "text": "1", "true": True})}
