"""The folder of a device on this machine, and the files in it."""

import os
from pathlib import Path

__all__ = [
    "default_path",
    "usual_path",
]

KEY_FILE = "identity.key"
DATABASE_FILE = "device.db"
LOCK_FILE = "agent.lock"
SOCKET_FILE = "agent.sock"

ENVIRONMENT = "MUSTER_DATA_DIR"


def default_path() -> Path:
    """Return the device's folder: ``MUSTER_DATA_DIR``, or else ``usual_path``."""
    named = os.environ.get(ENVIRONMENT)
    return Path(named) if named else usual_path()


def usual_path() -> Path:
    """Return the default folder: ``muster/device`` where the platform keeps a user's data."""
    # Imported here because most commands do not need it.
    import platformdirs  # noqa: PLC0415

    return Path(platformdirs.user_data_dir("muster", appauthor=False)) / "device"
