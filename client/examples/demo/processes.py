"""The demo's processes: a hub, an agent for each device, and commands that do one thing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 15.0
MUSTER = [sys.executable, "-m", "muster_client.cli"]
ADDRESS = "127.0.0.1"


class DemoFailed(Exception):
    """Raised when a part of the demo did not start, or behaved unexpectedly."""


def _environment() -> dict[str, str]:
    # What the caller's own devices are set to must not reach the demo's.
    return {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}


class Processes:
    """The processes that were started, so that all of them are ended."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._running: dict[str, subprocess.Popen[str]] = {}

    def start_hub(self, port: int) -> dict[str, Any]:
        """Start the hub and return the line that it prints once it is ready."""
        data = self.root / "hub"
        command = [*MUSTER, "hub", "--json", "--listen", f"{ADDRESS}:{port}", "--data-dir", str(data)]
        hub = self._start("hub", command, stdout=subprocess.PIPE)
        line = hub.stdout.readline() if hub.stdout else ""
        if not line:
            raise DemoFailed(f"the hub did not start:\n{self.log('hub')}")
        ready: dict[str, Any] = json.loads(line)
        return ready

    def kill_hub(self) -> None:
        """End the hub as a power cut would: SIGKILL, no last words."""
        hub = self._running.pop("hub")
        hub.kill()
        hub.communicate()

    def start_agent(self, name: str) -> None:
        """Start a device's agent in the background."""
        self._start(name, [*MUSTER, "--data-dir", str(self.root / name), "agent"])

    def stop(self, name: str) -> None:
        """Ask a process to end, and wait until it has."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise DemoFailed(f"{name} did not end when asked to:\n{self.log(name)}") from None

    def stop_all(self) -> None:
        """End every agent, then the hub."""
        for name in sorted(self._running, key=lambda name: name == "hub"):
            self.stop(name)

    def muster(self, name: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Run one command of a device with ``--json``; return its exit code and its document."""
        command = [*MUSTER, "--data-dir", str(self.root / name), *arguments, "--json"]
        done = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, check=False, env=_environment(), timeout=START_DEADLINE_S
        )
        try:
            document: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise DemoFailed(f"muster {' '.join(arguments)} said:\n{done.stdout}{done.stderr}") from None
        return done.returncode, document

    def log(self, name: str) -> str:
        """Return the end of what a process wrote."""
        return (self.root / f"{name}.log").read_text()[-2000:]

    def check(self) -> None:
        """Raise ``DemoFailed`` for a process that ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise DemoFailed(f"{name} ended by itself:\n{self.log(name)}")

    def _start(self, name: str, command: list[str], stdout: int | None = None) -> subprocess.Popen[str]:
        with (self.root / f"{name}.log").open("a") as log:
            # A group of its own: Ctrl-C reaches the demo alone, which then ends the others in order.
            process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                text=True,
                env=_environment(),
                start_new_session=True,
            )
        self._running[name] = process
        return process


def wait_until_online(processes: Processes, asker: str, names: tuple[str, ...]) -> float:
    """Ask ``muster who`` until all of these are online; return the seconds that it took."""
    began = time.monotonic()
    while time.monotonic() - began < START_DEADLINE_S:
        processes.check()
        code, document = processes.muster(asker, "who", *names)
        if code == 0 and all(device["state"] == "online" for device in document["devices"]):
            return time.monotonic() - began
    raise DemoFailed(f"not online after {START_DEADLINE_S:.0f} s: {', '.join(names)}")
