"""Random values of any wire struct, made from its own declared types and limits."""

from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct, inspect

from muster_protocol.frames import PutStatement
from muster_protocol.frames.statements import PUBLISHED


@cache
def values_of(struct: type[Struct]) -> st.SearchStrategy[Any]:
    """Return a strategy for instances of ``struct``."""
    return _strategy(inspect.type_info(struct))


def _strategy(info: inspect.Type) -> st.SearchStrategy[Any]:
    return _MAKERS[type(info)](info)


def _integers(info: inspect.IntType) -> st.SearchStrategy[int]:
    least = 0 if info.ge is None else int(info.ge)
    most = 2**53 - 1 if info.le is None else int(info.le)
    return st.one_of(st.integers(least, most), st.sampled_from([least, most]))


def _text(info: inspect.StrType) -> st.SearchStrategy[str]:
    if info.pattern is not None:
        return st.from_regex(info.pattern)
    characters = st.characters(codec="utf-8")
    return st.text(characters, min_size=info.min_length or 0, max_size=info.max_length or 8)


def _bytes(info: inspect.BytesType) -> st.SearchStrategy[bytes]:
    least, most = info.min_length or 0, info.max_length
    return st.binary(min_size=least, max_size=least if most == least else least + 8)


def _tuples(info: inspect.VarTupleType) -> st.SearchStrategy[tuple[Any, ...]]:
    least = info.min_length or 0
    return st.lists(_strategy(info.item_type), min_size=least, max_size=least + 2).map(tuple)


def _structs(info: inspect.StructType) -> st.SearchStrategy[Any]:
    fields = {field.name: _strategy(field.type) for field in info.fields}
    return st.builds(info.cls, **fields | _CHECKED.get(info.cls, {}))


_CHECKED: dict[type, dict[str, st.SearchStrategy[Any]]] = {PutStatement: {"kind": st.sampled_from(sorted(PUBLISHED))}}
"""What a type checks beyond what its fields declare."""
_MAKERS: dict[type[inspect.Type], Callable[[Any], st.SearchStrategy[Any]]] = {
    inspect.NoneType: lambda _: st.none(),
    inspect.BoolType: lambda _: st.booleans(),
    inspect.IntType: _integers,
    inspect.StrType: _text,
    inspect.BytesType: _bytes,
    inspect.EnumType: lambda info: st.sampled_from(list(info.cls)),
    inspect.LiteralType: lambda info: st.sampled_from(info.values),
    inspect.UnionType: lambda info: st.one_of(*map(_strategy, info.types)),
    inspect.VarTupleType: _tuples,
    inspect.StructType: _structs,
}
