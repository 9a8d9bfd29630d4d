"""The programs of ``muster agent --on-session``: what each is given, how it ends, and how many run at once."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from muster_client import Session
from muster_client.cli.agent import on_session
from muster_client.cli.agent.on_session import environment, runner
from muster_client.events import MemberView
from muster_client.views import SessionView
from muster_protocol.cards import Mode
from muster_protocol.frames import MemberState, SessionKind
from muster_protocol.ids import ClientId, SessionId, TimeMs

WAIT_S = 30
LOOP_TURNS = 20
"""A program may run before the loop has told its runner so; that takes the loop fewer turns than these."""
ANN, BOB, CAT = (ClientId(letter * 32) for letter in "abc")


class ShownSession:
    """A session as far as a program learns of it."""

    mode = Mode.JOIN
    profile: str | None = None
    creator = ANN
    epoch = 3
    ended: str | None = None

    def __init__(self, name: str = "s" * 32) -> None:
        self.id = SessionId(name)

    def view(self) -> SessionView:
        members = ((ANN, MemberState.JOINED), (BOB, MemberState.OUT), (CAT, MemberState.SEATED))
        return SessionView(
            id=self.id,
            creator=ANN,
            mode=self.mode,
            profile=self.profile,
            kind=SessionKind.MESH,
            epoch=self.epoch,
            created_at=TimeMs(1),
            ends_at=TimeMs(2),
            members=tuple(MemberView(client=client, state=state) for client, state in members),
            targets=(),
        )


@pytest.fixture
def session() -> Session:
    return cast("Session", ShownSession())


@dataclass(slots=True)
class RecordedPrograms:
    """A log of programs that a test reads."""

    said: list[tuple[str, str]] = field(default_factory=list)

    def program_waits(self, session: str) -> None:
        self.said.append(("waits", session))

    def program_not_run(self, session: str) -> None:
        self.said.append(("not run", session))

    def program_ended(self, session: str, code: int) -> None:
        self.said.append((f"ended {code}", session))


def test_a_program_is_given_the_members_that_are_in_and_no_key(session: Session) -> None:
    assert environment(session) == {
        "MUSTER_SESSION": session.id,
        "MUSTER_MODE": "join",
        "MUSTER_PROFILE": "",
        "MUSTER_CREATOR": ANN,
        "MUSTER_MEMBERS": f"{ANN} {CAT}",
        "MUSTER_EPOCH": "3",
    }


async def test_a_program_sees_its_session_and_its_exit_code_is_reported(session: Session, tmp_path: Path) -> None:
    log = RecordedPrograms()
    await runner(f'echo "$MUSTER_SESSION $PATH" > {tmp_path}/seen; exit 3', log)(session)
    assert log.said == [("ended 3", session.id)]
    name, path = (tmp_path / "seen").read_text().split()
    assert (name, bool(path)) == (session.id, True)


async def started(script: str, folder: Path, session: Session) -> tuple["asyncio.Task[None]", int]:
    """Start a program that runs this script, and return it with its process once the script runs."""
    program, pipe = folder / "program", folder / "pipe"
    os.mkfifo(pipe)
    program.write_text(f"{script}\necho $$ > {pipe}\nwhile :; do sleep 0.01; done\n")
    task = asyncio.ensure_future(runner(f"exec sh {program}", RecordedPrograms())(session))
    async with asyncio.timeout(WAIT_S):
        process = int(await asyncio.to_thread(pipe.read_text))
    for _ in range(LOOP_TURNS):
        await asyncio.sleep(0)
    return task, process


async def ended(task: "asyncio.Task[None]") -> None:
    """End the program as its agent's end does."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_program_is_told_to_end_when_its_agent_ends(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_session, "END_S", WAIT_S)
    task, _ = await started(f"trap 'echo told > {tmp_path}/told; exit 0' TERM", tmp_path, session)
    await ended(task)
    assert (tmp_path / "told").exists()


async def test_a_program_that_ignores_that_is_killed(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_session, "END_S", 0.05)
    task, process = await started("trap '' TERM", tmp_path, session)
    await ended(task)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - other processes make it true
        await asyncio.sleep(0.01)


async def call(run: Callable[[Session], Awaitable[None]], one: ShownSession) -> None:
    await run(cast("Session", one))


async def test_programs_beyond_the_limit_wait_and_run_once_another_one_ended(tmp_path: Path) -> None:
    log = RecordedPrograms()
    script = f'cd "{tmp_path}"; touch "$MUSTER_SESSION"; until [ -e "end-$MUSTER_SESSION" ]; do sleep 0.01; done'
    run = runner(script, log, limit=2)
    third = ShownSession("third")
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
        for one in (ShownSession("first"), ShownSession("second"), third, ShownSession("fourth")):
            group.create_task(call(run, one))
        await until(lambda: names_in(tmp_path) == {"first", "second"})
        assert log.said == [("waits", "third"), ("waits", "fourth")]
        third.ended = "while it waited"
        (tmp_path / "end-first").touch()
        await until(lambda: "fourth" in names_in(tmp_path))
        assert log.said[2:] == [("ended 0", "first"), ("not run", "third")]
        assert "third" not in names_in(tmp_path)
        (tmp_path / "end-second").touch()
        (tmp_path / "end-fourth").touch()
    assert sorted(log.said[4:]) == [("ended 0", "fourth"), ("ended 0", "second")]
