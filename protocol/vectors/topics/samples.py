"""For each type of field, a value that it takes and values for which it refuses: made from the types of the code."""

import re

from msgspec.inspect import (
    BytesType,
    EnumType,
    IntType,
    LiteralType,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
)

WORDS = ("a" * 32, "a", "joined")
"""One of these fits each pattern."""

Values = dict[str, object]


def plain(kind: Type) -> Type:
    """Return what a field takes beside nil."""
    if isinstance(kind, UnionType):
        (kind,) = [each for each in kind.types if not isinstance(each, NoneType)]
    return kind


def good(kind: Type) -> object:
    """Return the smallest value that a type takes, but an array with one item."""
    value: object = False
    match plain(kind):
        case IntType(ge=lowest):
            value = lowest or 0
        case StrType(pattern=pattern):
            value = next(word for word in WORDS if re.search(pattern or "", word))
        case BytesType(min_length=size):
            value = bytes(size or 0)
        case EnumType(cls=words):
            value = next(iter(words)).value
        case LiteralType(values=values):
            value = values[0]
        case VarTupleType(item_type=item):
            value = [good(item)]
        case StructType() as struct:
            fields = {field.encode_name: good(field.type) for field in struct.fields}
            tag = {} if struct.tag_field is None else {struct.tag_field: struct.tag}
            value = list(fields.values()) if struct.array_like else tag | fields
    return value


def bad(kind: Type) -> Values:
    """Return values that a type refuses, each under a name."""
    nil: Values = {} if isinstance(kind, UnionType) else {"nil": None}
    return nil | _bad(plain(kind))


def _bad(kind: Type) -> Values:
    values: Values = {"a number": 2}
    match kind:
        case IntType(ge=lowest, le=highest):
            limits = {"below": (lowest, -1), "above": (highest, 1)}
            values = {name: limit + step for name, (limit, step) in limits.items() if limit is not None}
            values |= {"text": "1", "true": True, "a float": 1.0}
        case StrType():
            values |= {"binary": str(good(kind)).encode()} | _bad_texts(kind)
        case BytesType(min_length=least, max_length=most):
            sizes = _sizes("short", least, most)
            values |= {"text": "a" * (least or 0)} | {name: bytes(size) for name, size in sizes.items()}
        case EnumType() | LiteralType():
            values |= {"another word": "nonsense", "binary": str(good(kind)).encode(), "true": True}
        case VarTupleType(item_type=item, min_length=least, max_length=most):
            sizes = _sizes("few", least, most)
            values |= {"a map": {}} | {name: [good(item)] * size for name, size in sizes.items()}
        case _:
            values |= {"a map": {}, "text": "true"}
    return values


def _bad_texts(kind: StrType) -> Values:
    if kind.pattern is None:
        return {name: "a" * size for name, size in _sizes("short", kind.min_length, kind.max_length).items()}
    word = str(good(kind))
    texts = {
        "empty": "",
        "too short": word[:-1],
        "too long": word + "a" * 64,
        "upper case": word.upper(),
        "a line end": word + "\n",
        "a sign in front": "-" + word[1:],
    }
    return {name: text for name, text in texts.items() if not re.search(kind.pattern, text)}


def _sizes(small: str, least: int | None, most: int | None) -> dict[str, int]:
    sizes = {} if not least else {f"too {small}": least - 1}
    return sizes if most is None else sizes | {"too many" if small == "few" else "too long": most + 1}
