"""Dropped checks: guards, conditions and their parts, comparisons, calls that only check."""

import ast
import re
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise

from tests.mutants.change import Change

_CHECKING = re.compile(r"_?(check|verify|parse)")
_NEIGHBOURS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_READ = "__import__('muster_protocol.signed', fromlist=['read']).read"

_Way = tuple[str, ast.AST, ast.AST]


def dropped_checks(tree: ast.Module) -> Iterator[Change]:
    """Return each way in which a function of the module checks less, or at another boundary."""
    for name, function in _functions(tree, ""):
        nodes = list(_inside(function))
        # The statement around these is dropped whole.
        covered = {
            id(node.body[-1]) for node in nodes if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise)
        }
        covered |= {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            ways = [] if id(node) in covered else [*_statements(node), *_expressions(node)]
            if isinstance(node, ast.Return) and _returns_bool(function):
                ways += _answers(node)
            yield from (Change(f"{name}: {what}", old, new) for what, old, new in ways)


def _functions(node: ast.AST, outer: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            name = f"{outer}{child.name}"
            if isinstance(child, ast.FunctionDef):
                yield name, child
            yield from _functions(child, f"{name}.")


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """Return all nodes of a function, outermost first, but not those of a function within it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from _inside(child)


def _statements(node: ast.AST) -> Iterator[_Way]:
    match node:
        case ast.If(test=test, body=body):
            yield f"never if {_text(test)}", test, ast.Constant(value=False)
            if not isinstance(body[-1], ast.Raise):
                yield f"always if {_text(test)}", test, ast.Constant(value=True)
        case ast.Raise():
            yield _dropped(node)
        case ast.Expr(value=ast.Call(func=called)) if _CHECKING.match(_text(called).rpartition(".")[2]):
            yield _dropped(node)
        case ast.comprehension(ifs=filters):
            yield from ((f"no filter {_text(each)}", each, ast.Constant(value=True)) for each in filters)


def _expressions(node: ast.AST) -> Iterator[_Way]:
    match node:
        case ast.IfExp(test=test, body=chosen, orelse=other):
            yield f"always {_text(chosen)}, not only if {_text(test)}", node, chosen
            yield f"always {_text(other)}, also if {_text(test)}", node, other
        case ast.Call(func=ast.Attribute(value=checked, attr="check"), args=[]):
            yield f"no {_text(node)}", node, checked
        case ast.Call(func=ast.Name(id="verify"), args=[signed, _, body]):
            read = ast.Call(func=ast.parse(_READ, mode="eval").body, args=[signed, body], keywords=[])
            yield f"no signature in {_text(node)}", node, read
        case ast.BoolOp():
            yield from _operands(node)
        case ast.Compare():
            yield from _comparisons(node)


def _returns_bool(function: ast.FunctionDef) -> bool:
    return isinstance(function.returns, ast.Name) and function.returns.id == "bool"


def _answers(node: ast.Return) -> Iterator[_Way]:
    for each in (True, False):
        if node.value is not None and _text(node.value) != str(each):
            yield f"return {each}, not {_text(node.value)}", node.value, ast.Constant(value=each)


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


def _dropped(statement: ast.stmt) -> _Way:
    return f"no {_text(statement)}", statement, ast.Pass()


def _operands(node: ast.BoolOp) -> Iterator[_Way]:
    for place, operand in enumerate(node.values):
        rest = node.values[:place] + node.values[place + 1 :]
        new = rest[0] if len(rest) == 1 else ast.BoolOp(op=node.op, values=rest)
        yield f"{_text(node)} without {_text(operand)}", node, new


def _comparisons(node: ast.Compare) -> Iterator[_Way]:
    for place, op in enumerate(node.ops):
        neighbour = _NEIGHBOURS.get(type(op))
        if neighbour is not None:
            changed = deepcopy(node)
            changed.ops[place] = neighbour()
            yield f"{_text(changed)}, not {_text(node)}", node, changed
    sides = [node.left, *node.comparators]
    if len(node.ops) > 1:
        for (left, right), op in zip(pairwise(sides), node.ops, strict=True):
            yield (
                f"only {_text(half := ast.Compare(left=left, ops=[op], comparators=[right]))} of {_text(node)}",
                node,
                half,
            )
    elif isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
        yield from _elements(node)


def _elements(node: ast.Compare) -> Iterator[_Way]:
    """Compare two tuples without one of their elements. A name stands for a tuple as long as the other."""
    sides = (node.left, node.comparators[0])
    sizes = {len(side.elts) for side in sides if isinstance(side, ast.Tuple)}
    if len(sizes) != 1 or not all(isinstance(side, (ast.Tuple, ast.Name)) for side in sides):
        return
    for place in range(sizes.pop()):
        changed = deepcopy(node)
        changed.left, changed.comparators[0] = (
            _without(side, place) for side in (changed.left, changed.comparators[0])
        )
        named = next(_text(side.elts[place]) for side in sides if isinstance(side, ast.Tuple))
        yield f"{_text(node)} without {named}", node, changed


def _without(side: ast.expr, place: int) -> ast.expr:
    if isinstance(side, ast.Tuple):
        return ast.Tuple(elts=side.elts[:place] + side.elts[place + 1 :], ctx=ast.Load())
    name = _text(side)
    return ast.parse(f"{name}[:{place}] + {name}[{place + 1} :]", mode="eval").body
