"""The agent as a service of its user: a systemd user unit on Linux, a launchd agent on macOS."""

import os
import plistlib
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from muster_client.connection.proxy import VARIABLES
from muster_client.device.private_files import replace_private
from muster_client.paths import usual_path

RESTART_S = 10
"""How long after a crash the service manager starts the agent again."""


__all__ = ["RESTART_S", "Service", "agent_service", "write_service"]


class Service(Struct, frozen=True, kw_only=True):
    """A service: its file, and the commands that enable and disable it. A command is a tuple of words."""

    name: str
    path: Path
    text: str
    enable: tuple[tuple[str, ...], ...]
    disable: tuple[tuple[str, ...], ...]


def agent_service(device: Path, options: Sequence[str], environment: Mapping[str, str], home: Path) -> Service:
    """Return the service for a device's agent on this platform.

    ``options`` are those of ``muster agent``. Of ``environment`` only the variables that name a proxy are taken over,
    since a service does not see the shell's.
    """
    folder = device.absolute()
    command = (sys.executable, "-m", "muster_client.cli", "--data-dir", str(folder), "agent", "--json", *options)
    kept = {name: value for name, value in environment.items() if name.upper() in VARIABLES and value}
    mark = "" if folder == usual_path().absolute() else f"-{sha256(bytes(folder)).hexdigest()[:8]}"
    if sys.platform == "darwin":
        return _launchd(f"org.muster.agent{mark}", folder, command, kept, home)
    return _systemd(f"muster-agent{mark}.service", folder, command, kept, home)


def write_service(service: Service) -> None:
    """Write the service's file, 0600: it may name a proxy with its password. Raises ``OSError``."""
    service.path.parent.mkdir(parents=True, exist_ok=True)
    replace_private(service.path, service.text.encode())


def _systemd(name: str, folder: Path, command: Sequence[str], kept: Mapping[str, str], home: Path) -> Service:
    configured = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    lines = [
        "[Unit]",
        f"Description=Muster agent of the device in {_plain(str(folder))}",
        "",
        "[Service]",
        f"ExecStart={' '.join(map(_quoted, command))}",
        *(f"Environment={_quoted(f'{variable}={value}', dollar='$')}" for variable, value in sorted(kept.items())),
        "Restart=on-failure",
        f"RestartSec={RESTART_S}",
        "# 1 and 5 are for a person to mend: another try would only say the same again.",
        "RestartPreventExitStatus=1 5",
        "UMask=0077",
        "",
        "[Install]",
        "WantedBy=default.target",
        "",
    ]
    user = ("systemctl", "--user")
    return Service(
        name=name,
        path=configured / "systemd/user" / name,
        text="\n".join(lines),
        enable=((*user, "daemon-reload"), (*user, "enable", name), (*user, "restart", name)),
        disable=((*user, "disable", "--now", name), (*user, "daemon-reload")),
    )


def _launchd(name: str, folder: Path, command: Sequence[str], kept: Mapping[str, str], home: Path) -> Service:
    path = home / "Library/LaunchAgents" / f"{name}.plist"
    listed = {
        "Label": name,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(kept),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": RESTART_S,
        "Umask": 0o077,
        "StandardOutPath": str(folder / "agent.log"),
        "StandardErrorPath": str(folder / "agent.log"),
    }
    return Service(
        name=name,
        path=path,
        text=plistlib.dumps(listed).decode(),
        enable=(("launchctl", "load", "-w", str(path)),),
        disable=(("launchctl", "unload", "-w", str(path)),),
    )


def _plain(text: str) -> str:
    """Escape what systemd would expand in a description."""
    return text.replace("%", "%%")


def _quoted(word: str, *, dollar: str = "$$") -> str:
    """Quote a word for a unit file, so that systemd expands nothing in it. Only a command line expands ``$``."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", dollar)
    return f'"{escaped}"'
