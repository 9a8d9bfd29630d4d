"""Where a device's things are on this machine."""

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
    """Give the device's folder: ``MUSTER_DATA_DIR``, else where this platform keeps a user's data."""
    named = os.environ.get(ENVIRONMENT)
    return Path(named) if named else usual_path()


def usual_path() -> Path:
    """Give the device's folder where nothing names another one."""
    # Only whoever needs the platform's answer pays for finding it.
    import platformdirs  # noqa: PLC0415

    return Path(platformdirs.user_data_dir("muster", appauthor=False)) / "device"
