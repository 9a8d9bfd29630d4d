"""The library's public names: what ``__all__`` declares, what client/README.md lists, and what programs import.

The public modules are those that the contract in ``.importlinter`` lets the command line import.
"""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from tests.rooms import ROOT, public_modules

README = (ROOT / "client/README.md").read_text("utf-8")
MODULES = ("muster_client", *public_modules())
PROGRAMS = (*(ROOT / "client/muster_client/cli").rglob("*.py"), *(ROOT / "client/examples").rglob("*.py"))


def listed(module: str) -> list[str]:
    """Return the names in the README's table of a module."""
    _, found, after = README.partition(f"\n| `{module}` | |\n")
    assert found, f"client/README.md has no table of {module}"
    table = after.partition("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \| \S.* \|$", table, flags=re.MULTILINE)


def has_docstring(module: ModuleType, name: str) -> bool:
    value = getattr(module, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        return bool(value.__doc__)
    home = next(one for one in (module, *_imported_from(module, name)) if _assigned(one, name) is not None)
    after = _assigned(home, name)
    return isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)


def _imported_from(module: ModuleType, name: str) -> list[ModuleType]:
    nodes = ast.walk(ast.parse(inspect.getsource(module)))
    return [
        import_module(node.module)
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and name in {alias.name for alias in node.names}
    ]


def _assigned(module: ModuleType, name: str) -> ast.stmt | None:
    """Return the statement after the one that gives a module's name its value."""
    body = ast.parse(inspect.getsource(module)).body
    for statement, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        if name in {target.id for target in targets if isinstance(target, ast.Name)}:
            return after
    return None


@pytest.mark.parametrize("name", MODULES)
def test_the_readme_lists_each_public_name_once(name: str) -> None:
    module = import_module(name)
    assert sorted(listed(name)) == sorted(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_exists_and_has_a_docstring(name: str) -> None:
    module = import_module(name)
    assert not [one for one in module.__all__ if not has_docstring(module, one)]


def test_no_class_is_public_under_two_names() -> None:
    homes: dict[str, str] = {}
    for name in MODULES:
        for one in import_module(name).__all__:
            assert homes.setdefault(one, name) == name


def test_the_modules_that_declare_public_names_are_those_of_the_contract() -> None:
    library = ROOT / "client/muster_client"
    paths = [path for path in library.rglob("*.py") if library / "cli" not in path.parents]
    assert {_name(path) for path in paths if re.search(r"^__all__ = ", path.read_text("utf-8"), re.MULTILINE)} == {
        *MODULES
    }


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT / "client").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_the_command_line_and_the_examples_import_only_public_names() -> None:
    assert PROGRAMS
    private: list[str] = []
    for path in PROGRAMS:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                private += [alias.name for alias in node.names if alias.name.startswith("muster_client")]
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("muster_client"):
                private += [f"{path.name}: {one}" for one in _private(node)]
    assert not private


def _private(node: ast.ImportFrom) -> list[str]:
    module = node.module or ""
    if module.startswith("muster_client.cli"):
        return []
    names = [alias.name for alias in node.names]
    if module not in MODULES:
        return [f"{module}.{name}" for name in names]
    allowed = {*import_module(module).__all__, *(one.removeprefix(f"{module}.") for one in MODULES)}
    return [f"{module}.{name}" for name in names if name not in allowed]
