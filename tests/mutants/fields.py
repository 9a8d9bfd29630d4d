"""Looser types of fields: what a body or a message would take if one limit of one field were missing."""

import ast
import importlib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Meta, Struct
from tests.mutants.change import Change

_LOOSEN = "__import__('tests.mutants.fields', fromlist=['loosen']).loosen"
_LIMITS = {"ge": -1, "le": 1, "min_length": -1, "max_length": 1}


@dataclass(frozen=True, slots=True)
class Looser:
    """One looser field of a struct, or with no field a struct that takes more of them."""

    struct: str
    field: str
    how: str
    default: str
    """What follows the type in the declaration."""


def looser_fields(module: str) -> Iterator[tuple[str, Looser]]:
    """Return each way in which a struct of the module that comes from outside takes more than it should."""
    for struct in wire_structs():
        if struct.__module__ == f"muster_protocol.{module}":
            yield from _looser(struct)


def wire_structs() -> dict[type[Struct], None]:
    """Return every body and message, and every struct within one."""
    statements = importlib.import_module("tests.vectors.checks.statements")
    frames = importlib.import_module("muster_protocol.frames")
    found: dict[type[Struct], None] = {}
    for struct in (*statements.BODIES.values(), *frames.FRAMES.values()):
        _collect(struct, found)
    return found


def _collect(struct: type[Struct], found: dict[type[Struct], None]) -> None:
    found[struct] = None
    for hint in get_type_hints(struct, include_extras=True).values():
        for inner in _structs_in(hint):
            if inner not in found:
                _collect(inner, found)


def _structs_in(hint: Any) -> Iterator[type[Struct]]:
    plain = _plain(hint)
    if isinstance(plain, type) and issubclass(plain, Struct):
        yield plain
    for inner in get_args(plain):
        yield from _structs_in(inner)


def _looser(struct: type[Struct]) -> Iterator[tuple[str, Looser]]:
    name, closed = struct.__name__, struct.__struct_config__.array_like
    hints = get_type_hints(struct, include_extras=True)
    fields = msgspec.structs.fields(struct)
    for field in fields:
        default = "" if field.default is NODEFAULT else f" = {field.default!r}"
        for how, _ in loosenings(hints[field.name]):
            yield f"{name}.{field.name}: {how}", Looser(name, field.name, how, default)
        if not default and (not closed or field is fields[-1]):
            yield f"{name}.{field.name}: may be missing", Looser(name, field.name, "anything", " = None")
    if closed:
        yield f"{name}: more fields", Looser(name, "", "", "")


def loosened(tree: ast.Module, looser: Looser) -> Change:
    """Return the change that makes one struct of a module looser."""
    node = next(line for line in tree.body if isinstance(line, ast.ClassDef) and line.name == looser.struct)
    return Change(looser.struct, node, _with_field(node, looser) if looser.field else _open(node))


def _with_field(node: ast.ClassDef, looser: Looser) -> ast.ClassDef:
    """Declare a field once more. In msgspec, the later declaration of a name takes the place of the first."""
    own = [line for line in node.body if isinstance(line, ast.AnnAssign) and ast.unparse(line.target) == looser.field]
    plain = ast.unparse(own[0].annotation) if own else f"{ast.unparse(node.bases[0])}, {looser.field!r}"
    line = ast.parse(f"{looser.field}: {_LOOSEN}({looser.how!r}, {plain}){looser.default}").body[0]
    body = [line if each in own else each for each in node.body] if own else [line, *node.body]
    return ast.ClassDef(node.name, node.bases, node.keywords, body, node.decorator_list)


def _open(node: ast.ClassDef) -> ast.ClassDef:
    keywords = [each for each in node.keywords if each.arg != "forbid_unknown_fields"]
    keywords.append(ast.keyword("forbid_unknown_fields", ast.Constant(value=False)))
    return ast.ClassDef(node.name, node.bases, keywords, node.body, node.decorator_list)


def loosen(how: str, hint: Any, inherited: str | None = None) -> Any:
    """Return a looser type: than ``hint``, or than the field ``inherited`` of the struct ``hint``."""
    if inherited is not None:
        hint = get_type_hints(hint, include_extras=True)[inherited]
    return dict(loosenings(hint))[how]


def loosenings(hint: Any) -> Iterator[tuple[str, Any]]:
    """Return each looser type with what it takes too, the least first: who notices that notices all wider ones."""
    plain = _plain(hint)
    if type(None) not in get_args(plain):
        yield "nil too", plain | None
    yield from _inner(plain)
    if plain is not Any:
        yield "anything", Any


def _plain(hint: Any) -> Any:
    return _plain(hint.__supertype__) if isinstance(hint, NewType) else hint


def _inner(plain: Any) -> Iterator[tuple[str, Any]]:
    origin, args = get_origin(plain), get_args(plain)
    if origin is Annotated:
        yield from ((how, Annotated[(each, *args[1:])]) for how, each in _inner(args[0]))
        yield from ((how, Annotated[(args[0], meta)]) for how, meta in _wider(args[1]))
    elif origin is tuple:
        yield from ((f"items: {how}", tuple.__class_getitem__((each, ...))) for how, each in loosenings(args[0]))
    elif origin in (Union, types.UnionType):
        (chosen,) = [arg for arg in args if arg is not type(None)]
        yield from ((how, each | None) for how, each in _inner(_plain(chosen)))
    elif origin is Literal:
        yield f"any {type(args[0]).__name__}", type(args[0])
    elif isinstance(plain, type) and issubclass(plain, Enum):
        yield "any str", str


def _wider(meta: Meta) -> Iterator[tuple[str, Meta]]:
    limits = {name: getattr(meta, name) for name in (*_LIMITS, "pattern") if getattr(meta, name) is not None}
    for name, value in limits.items():
        others = {other: limit for other, limit in limits.items() if other != name}
        if name == "pattern":
            yield "no pattern", Meta(**others)
        elif name == "min_length" and value == 0:
            continue
        else:
            yield f"{name} {value + _LIMITS[name]}", Meta(**others | {name: value + _LIMITS[name]})
