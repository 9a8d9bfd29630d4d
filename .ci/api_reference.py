"""Builds the API reference from the docstrings, as HTML. Any warning of pdoc is an error.

Usage: python .ci/api_reference.py FOLDER
"""

import importlib
import sys
import warnings
from pathlib import Path

import pdoc

LIBRARY = "muster_client"
PUBLIC_MODULES = ("control", "doctor", "errors", "events", "paths", "service_unit", "views")
OTHERS = ("muster_protocol", "muster_hub")


def load_public_names(name: str) -> None:
    """Import what the module's `__all__` names. pdoc does not see a name that is loaded on first use."""
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        setattr(module, public, getattr(module, public))


def main() -> None:
    """Write one page for each module."""
    warnings.filterwarnings("error", category=UserWarning)
    modules = [f"{LIBRARY}.{module}" for module in PUBLIC_MODULES]
    for name in (LIBRARY, *modules):
        load_public_names(name)
    pdoc.render.configure(show_source=False)
    # A name with "!" takes modules out again: those of the library that are not public, and programs.
    names = (LIBRARY, f"!{LIBRARY}[.]", *modules, f"!{LIBRARY}[.].*[.]", *OTHERS, "!.*__main__")
    pdoc.pdoc(*names, output_directory=Path(sys.argv[1]))


if __name__ == "__main__":
    main()
