"""Muster in half a minute: a hub, nine devices, a session, a power cut, and a second session.

Run it with ``make demo``. ``KEEP=1`` leaves everything running until Ctrl-C and prints what to try. It exits with 0
only if every outcome was the expected one.
"""

import contextlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from fleet import CALLER, FLEET, JOINERS, Fleet
from processes import ADDRESS, DemoFailed, Processes, wait_until_online
from screen import console, opening, outcomes, say, step

ONLINE = tuple(called.name for called in FLEET if called.name not in {"phone", "neighbour"})
SOME_REFUSED = 1


def main() -> int:
    """Tell the story; return 0 if it went as it should, else 1."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    opening()
    # A short path: Unix sockets live below it.
    with tempfile.TemporaryDirectory(prefix="muster-") as folder:
        root = Path(folder)
        processes = Processes(root)
        try:
            good = _story(root, processes)
            if good and os.environ.get("KEEP") == "1":
                _keep(root)
        except DemoFailed as failure:
            console.print(f"[red]{failure}[/red]")
            good = False
        except KeyboardInterrupt:
            console.print("\nInterrupted.")
            good = False
        finally:
            processes.stop_all()
    console.print(_verdict(good=good))
    return 0 if good else 1


def _story(root: Path, processes: Processes) -> bool:
    url = _start(root, processes)
    first = _first_session(processes)
    _power_cut(processes, port=int(url.rsplit(":", 1)[1]))
    return _second_session(processes) and first


def _start(root: Path, processes: Processes) -> str:
    step("A hub on its embedded store, nothing configured")
    began = time.monotonic()
    url: str = processes.start_hub(port=0)["url"]
    say(f"listening on {url} after {time.monotonic() - began:.1f} s")
    step(f"A {CALLER} and {len(FLEET)} devices, each an agent process with a key of its own")
    fleet = Fleet(root, url)
    fleet.introduce()
    fleet.close()
    for name in (CALLER, *(called.name for called in FLEET)):
        processes.start_agent(name)
    took = wait_until_online(processes, CALLER, (*(name for name in ONLINE if name != "studio"), "phone"))
    processes.stop("phone")
    say(f"all connected after {took:.1f} s; then the phone was switched off")
    return url


def _first_session(processes: Processes) -> bool:
    step("The laptop calls all of them: muster session start workstation nas ... --wait")
    code, document = processes.muster(CALLER, "session", "start", *(called.name for called in FLEET), "--wait")
    good = outcomes(document)
    if code != SOME_REFUSED:
        say(f"[red]exit code {code}, expected {SOME_REFUSED}: some could not be called in[/red]")
    return good and code == SOME_REFUSED


def _power_cut(processes: Processes, port: int) -> None:
    step("The hub is killed (SIGKILL), and started again")
    processes.kill_hub()
    say("killed: agents keep their keys and try again, each after a random pause")
    began = time.monotonic()
    processes.start_hub(port)
    say(f"listening on ws://{ADDRESS}:{port} again after {time.monotonic() - began:.1f} s")
    took = wait_until_online(processes, CALLER, JOINERS)
    say(f"{', '.join(JOINERS)} are back after {took:.1f} s more")
    _, document = processes.muster(CALLER, "session", "list")
    say(f"the first session is still there: {len(document['sessions'])} open")


def _second_session(processes: Processes) -> bool:
    step(f"muster session start {' '.join(JOINERS)} --wait")
    code, document = processes.muster(CALLER, "session", "start", *JOINERS, "--wait")
    good = outcomes(document, tuple(called for called in FLEET if called.reason is None))
    if code:
        say(f"[red]exit code {code}, expected 0: all joined[/red]")
    return good and code == 0


def _keep(root: Path) -> None:
    step("Left running. In another terminal:")
    command = f"{Path(sys.executable).parent / 'muster'} --data-dir {root / CALLER}"
    for arguments in ("who", "why nas", "session list", "session start nas tablet --wait", "trust list"):
        say(f"[cyan]{command} {arguments}[/cyan]")
    say("Ctrl-C here ends all of it.")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


def _verdict(*, good: bool) -> str:
    if good:
        return "\n[bold green]Every outcome was the expected one.[/bold green] Nothing is left behind."
    return "\n[bold red]Not every outcome was the expected one.[/bold red]"


if __name__ == "__main__":
    sys.exit(main())
