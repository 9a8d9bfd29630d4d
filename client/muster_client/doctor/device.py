"""The examination of a device, from its files to its hub.

It changes only what any command changes that connects to the hub: the first connect pins the hub's key, and waiting
statements are published.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from muster_client.control.client import ControlClient
from muster_client.device.device import Device
from muster_client.device.private_files import readable_by_others
from muster_client.doctor.findings import Finding, fail, ok, warn
from muster_client.doctor.hub import examine_hub
from muster_client.doctor.next_steps import MAKE_ROOM, cut
from muster_client.errors import DataNotWritten, DeviceError, NewerData, NoAgent, NoDevice, UnsafeKeyFile
from muster_client.paths import DATABASE_FILE
from muster_protocol.errors import MusterError

MIN_FREE_BYTES = 16 * 1024 * 1024
"""More than a device's data need within months."""


async def examine(path: Path) -> AsyncIterator[Finding]:
    """Yield one finding after the other, without those that a failed one makes impossible."""
    try:
        device = Device.open(path)
    except DeviceError as error:
        yield _unusable(path, error)
        return
    with device:
        yield ok("device", f"{device.client[:8]} in {path}")
        for finding in _files(path):
            yield finding
        yield await _agent(path)
        async for finding in examine_hub(device):
            yield finding
        yield _statements(device)
        yield _trust(device)


def _unusable(path: Path, error: DeviceError) -> Finding:
    if isinstance(error, NoDevice):
        return fail("device", f"There is no device in {path}.", "Run `muster init`.")
    sentence, step = cut(error)
    if isinstance(error, UnsafeKeyFile):
        return fail("key", sentence, step or "Mend that file.")
    if isinstance(error, NewerData):
        return fail("device", sentence, "Update Muster on this machine.")
    if isinstance(error, DataNotWritten):
        return fail("data", sentence, step or MAKE_ROOM)
    return fail("device", sentence, step or "See that the data folder is yours, whole and writable.")


def _files(path: Path) -> Iterator[Finding]:
    yield ok("key", "only its user can read it")
    open_to = [one for one in (path, path / DATABASE_FILE) if readable_by_others(one)]
    if open_to:
        yield warn("data", f"Others can read {open_to[0]}.", f"Run: chmod go= {open_to[0]}")
        return
    free = shutil.disk_usage(path).free
    if free < MIN_FREE_BYTES:
        words = f"The disk that holds the device's data has only {free // 1024} KiB left."
        yield (fail if free == 0 else warn)("data", words, "Make room on that disk.")
    else:
        yield ok("data", "only their user can read them, and there is room on the disk")


async def _agent(path: Path) -> Finding:
    try:
        # In a thread: it blocks, and the agent may run in this process.
        status = await asyncio.to_thread(ControlClient(path).status)
    except NoAgent:
        return warn("agent", "No agent of this device runs, so no device can call it.", "Run `muster agent install`.")
    except DeviceError as error:
        return fail("agent", *cut(error))
    except MusterError as error:
        return fail("agent", f"The agent does not answer: {error}.", "End it and start it again.")
    if not status.connected:
        drop = status.last_drop
        why = "" if drop is None else f": {drop.sentence or drop.cause}"
        return warn("agent", f"The agent runs, and has no connection to the hub{why}.", "See the lines below.")
    if status.keep_alive_learnt:
        return warn(
            "agent",
            f"Something on the way cuts idle connections; the agent pings every {status.keep_alive_ms / 1000:.0f} s.",
            "Nothing to do; where it is your own proxy, let it keep idle connections for a minute.",
        )
    return ok("agent", f"runs and is connected, and pings every {status.keep_alive_ms / 1000:.0f} s")


def _statements(device: Device) -> Finding:
    waiting = device.unpublished_count()
    if waiting == 0:
        return ok("statements", "the hub has all that this device said")
    return warn(
        "statements",
        f"The hub has not acknowledged {waiting} of this device's statements.",
        "Nothing to do once the hub can be reached: `muster agent` publishes them.",
    )


def _trust(device: Device) -> Finding:
    peers = {one.peer for one in device.peers.unconfirmed()}
    ended = {one.peer for one in device.peers.ended_elsewhere()}
    if not peers and not ended:
        return ok("trust", "all trust and grants under this device's key were made here or accepted by you")
    unconfirmed = f"trusts or granted {len(peers)} device(s), unconfirmed here: they do not count"
    taken_back = f"ended trust or grants to {len(ended)} device(s)"
    found = [words for words, of in ((unconfirmed, peers), (taken_back, ended)) if of]
    return warn(
        "trust",
        f"A copy of this device's data {'; it '.join(found)}.",
        "Run `muster trust review`. If these data were not restored from a backup, somebody has a copy of the key.",
    )
