"""``muster agent --on-session``: a program that runs for each session that this device joins."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Protocol

from muster_client import Session
from muster_protocol.frames import MemberState

END_S = 5
"""Seconds that a program has to end after SIGTERM, before SIGKILL."""
MAX_PROGRAMS = 32
"""Programs that run at once. Those of further sessions wait until one ends."""


class ProgramLog(Protocol):
    """Where the runner reports on the programs of sessions, by the session's id."""

    def program_waits(self, session: str) -> None:
        """Write that a program waits, since as many run as may run at once."""

    def program_not_run(self, session: str) -> None:
        """Write that a program never ran: its session ended while it waited."""

    def program_ended(self, session: str, code: int) -> None:
        """Write that a program ended."""


def environment(session: Session) -> dict[str, str]:
    """Return the environment variables that describe a session to a program; never a key."""
    return {
        "MUSTER_SESSION": session.id,
        "MUSTER_MODE": session.mode.value,
        "MUSTER_PROFILE": session.profile or "",
        "MUSTER_CREATOR": session.creator,
        "MUSTER_MEMBERS": " ".join(_members(session)),
        "MUSTER_EPOCH": str(session.epoch),
    }


def runner(command: str, log: ProgramLog, limit: int = MAX_PROGRAMS) -> Callable[[Session], Awaitable[None]]:
    """Return the callback that runs ``command`` in the shell, ``limit`` of them at once, and reports on each."""
    places = asyncio.Semaphore(limit)

    async def run(session: Session) -> None:
        if places.locked():
            log.program_waits(session.id)
        async with places:
            if session.ended is not None:
                log.program_not_run(session.id)
            else:
                log.program_ended(session.id, await _run(command, environment(session)))

    return run


async def _run(command: str, variables: dict[str, str]) -> int:
    process = await asyncio.create_subprocess_shell(
        command, env={**os.environ, **variables}, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        await _end(process)
        raise


def _members(session: Session) -> list[str]:
    return [member.client for member in session.view().members if member.state is not MemberState.OUT]


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
