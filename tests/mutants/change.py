"""One change of a module: a stable name, and the place in the syntax tree that it replaces."""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Change:
    """``new`` in the place of ``old``, a node of the module's tree. None: the node goes."""

    name: str
    old: ast.AST
    new: ast.AST | None


class _Replacing(ast.NodeTransformer):
    def __init__(self, change: Change) -> None:
        self._change = change

    @override
    def visit(self, node: ast.AST) -> ast.AST | None:
        return self._change.new if node is self._change.old else self.generic_visit(node)


def applied(tree: ast.Module, change: Change) -> ast.Module:
    """Return the tree with the change made. Lines keep their numbers."""
    if change.new is not None:
        ast.copy_location(change.new, change.old)
    changed = _Replacing(change).visit(tree)
    if not isinstance(changed, ast.Module):
        raise TypeError(change.name)
    return ast.fix_missing_locations(changed)


def numbered(changes: Iterable[Change]) -> Iterator[Change]:
    """Make names unique: the second of one name ends with `` (2)``."""
    seen: Counter[str] = Counter()
    for change in changes:
        seen[change.name] += 1
        count = seen[change.name]
        yield change if count == 1 else replace(change, name=f"{change.name} ({count})")
