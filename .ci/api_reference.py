"""Builds the API reference from the docstrings, as HTML. Any warning of pdoc is an error.

Usage: python .ci/api_reference.py FOLDER
"""

import importlib
import sys
import warnings
from pathlib import Path

import pdoc

LIBRARY = "muster_client"
MODULES_OF_THE_LIBRARY = (
    "muster_client.control",
    "muster_client.doctor",
    "muster_client.errors",
    "muster_client.events",
    "muster_client.paths",
    "muster_client.service_unit",
    "muster_client.views",
)
PROTOCOL, HUB = "muster_protocol", "muster_hub"


def load_public_names(package: str) -> None:
    """Import what the package's `__all__` names. pdoc does not see a name that is loaded on first use."""
    module = importlib.import_module(package)
    for name in module.__all__:
        setattr(module, name, getattr(module, name))


def main() -> None:
    """Write one page a module."""
    warnings.filterwarnings("error", category=UserWarning)
    load_public_names(LIBRARY)
    pdoc.render.configure(show_source=False)
    # A name with "!" takes out what the names before it added: the library's other modules, and programs.
    wanted = (LIBRARY, f"!{LIBRARY}[.]", *MODULES_OF_THE_LIBRARY, PROTOCOL, HUB, "!.*__main__")
    pdoc.pdoc(*wanted, output_directory=Path(sys.argv[1]))


if __name__ == "__main__":
    main()
