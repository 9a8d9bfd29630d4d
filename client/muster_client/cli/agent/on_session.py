"""``muster agent --on-session``: a program that runs for each session that this device joins."""

import asyncio
import os
from collections.abc import Awaitable, Callable

from muster_client import Session
from muster_protocol.frames import MemberState

END_S = 5
"""Seconds that a program has to end after SIGTERM, before SIGKILL."""


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


def runner(command: str, report: Callable[[Session, int], None]) -> Callable[[Session], Awaitable[None]]:
    """Return the callback that runs ``command`` in the shell and reports its exit code."""

    async def run(session: Session) -> None:
        process = await asyncio.create_subprocess_shell(
            command, env={**os.environ, **environment(session)}, stdin=asyncio.subprocess.DEVNULL
        )
        try:
            report(session, await process.wait())
        except asyncio.CancelledError:
            await _end(process)
            raise

    return run


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
