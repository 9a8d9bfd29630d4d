"""The control socket: a command line in a process of its own asks the agent of its device."""

import asyncio
import signal
import socket
import stat
from pathlib import Path

import pytest
from tests.integration.client.conftest import WAIT_S, befriend, until

from muster_client import Agent, ControlClient, Device, SessionRequest
from muster_client.cli.output.display import Output
from muster_client.cli.output.exit_codes import ExitCode
from muster_client.cli.output.nicknames import Nicknames
from muster_client.cli.start.attempt import Attempt, called
from muster_client.cli.start.run import Run
from muster_client.control import Settled, Started, TargetUpdate, server
from muster_client.control.lock import read_holder
from muster_client.control.server import MAX_CONTROL_CLIENTS, MAX_SOCKET_PATH_BYTES
from muster_client.errors import (
    ControlFailed,
    InvalidRequest,
    NoAgent,
    NotTrusted,
    UnknownInvite,
    UnknownSession,
)
from muster_client.events import Invited, Progress, SessionEnded
from muster_client.paths import LOCK_FILE
from muster_protocol.frames import Purpose
from muster_protocol.ids import SessionId
from muster_protocol.reasons import Reason, Sayer


async def aside(function, *arguments):
    """Run what blocks in a thread, as a command line's process would."""
    async with asyncio.timeout(WAIT_S):
        return await asyncio.to_thread(function, *arguments)


def mode_of(path: str) -> int | None:
    return stat.S_IMODE(Path(path).stat().st_mode) if Path(path).exists() else None


async def test_without_an_agent_a_request_to_it_fails(make_device, open_agent) -> None:
    laptop = make_device("laptop")
    control = ControlClient(laptop.path)
    with pytest.raises(NoAgent):
        control.status()
    control.notify()
    await open_agent(laptop)
    assert (await aside(control.status)).client == laptop.client


async def test_an_agent_that_ended_leaves_nothing_behind(make_device) -> None:
    laptop = make_device("laptop")
    async with Agent.open(laptop):
        held = read_holder(laptop.path / LOCK_FILE)
        assert held is not None
        assert held.socket is not None
        assert mode_of(held.socket) == 0o600
    with pytest.raises(NoAgent):
        ControlClient(laptop.path).status()
    assert mode_of(held.socket) is None


async def test_a_start_is_told_step_by_step(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    await open_agent(laptop)
    await open_agent(nas)
    control = ControlClient(laptop.path)
    updates = await aside(lambda: list(control.start(SessionRequest((nas.client,)))))
    assert isinstance(updates[0], Started)
    assert isinstance(updates[-1], Settled)
    states = [update.target.state for update in updates if isinstance(update, TargetUpdate)]
    assert states == [Progress.CALLED, Progress.DELIVERED, Progress.ACCEPTED, Progress.JOINED]
    (view,) = await aside(control.sessions)
    assert view.id == updates[0].session.id
    assert view.targets[0].state is Progress.JOINED
    (theirs,) = await aside(ControlClient(nas.path).sessions)
    assert theirs.creator == laptop.client
    await aside(ControlClient(nas.path).leave, theirs.id)
    await aside(control.close_session, view.id)
    assert await aside(control.sessions) == ()
    with pytest.raises(UnknownSession):
        await aside(control.leave, view.id)


async def test_what_stands_in_the_way_comes_as_the_same_error(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    await open_agent(laptop)
    control = ControlClient(laptop.path)

    def start(*targets):
        return list(control.start(SessionRequest(targets)))

    with pytest.raises(NotTrusted) as untrusted:
        await aside(start, nas.client)
    assert untrusted.value.obstacles[0].sayer is Sayer.DEVICE
    with pytest.raises(InvalidRequest) as twice:
        await aside(start, nas.client, nas.client)
    assert (twice.value.reason, twice.value.peer) == (Reason.DUPLICATE_TARGET, nas.client)
    for call in (control.leave, control.close_session, control.cancel):
        with pytest.raises(UnknownSession):
            await aside(call, SessionId(32 * "a"))
    for answer in (control.accept, control.decline):
        with pytest.raises(UnknownInvite):
            await aside(answer, "abcd")


async def test_a_reader_that_stops_leaves_the_calls_open_and_cancel_ends_them(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas, granted=False)
    caller, called = await open_agent(laptop), await open_agent(nas)
    events = called.events()
    control = ControlClient(laptop.path)

    def read_two():
        reading = control.start(SessionRequest((nas.client,), purpose=Purpose.ASK))
        started, called = next(reading), next(reading)
        reading.close()
        assert isinstance(called, TargetUpdate)
        return started

    started = await aside(read_two)
    invite = (await until(events, Invited)).invite
    assert (await aside(ControlClient(nas.path).inbox)) == (invite,)
    (session,) = caller.sessions()
    assert session.id == started.session.id
    assert session.targets[nas.client].state is Progress.DELIVERED
    await aside(control.cancel, session.id)
    assert session.targets[nas.client].reason is Reason.CANCELLED


async def test_a_reader_that_stops_before_it_took_the_session_calls_no_device(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas, granted=False)
    caller, called = await open_agent(laptop), await open_agent(nas)
    events, heard = caller.events(), called.events()
    control = ControlClient(laptop.path)

    def hear_and_go() -> SessionId:
        reading = control.start(SessionRequest((nas.client,), purpose=Purpose.ASK))
        started = next(reading)
        reading.close()
        assert isinstance(started, Started)
        return started.session.id

    unwanted = await aside(hear_and_go)
    await until(events, SessionEnded, session=unwanted)
    assert caller.sessions() == ()
    wanted = await caller.start_session(SessionRequest((nas.client,), purpose=Purpose.ASK))
    assert (await until(heard, Invited)).invite.session == wanted.id, "the first invite that came"


async def test_a_session_that_no_command_line_takes_is_closed_in_time(
    make_device, open_agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    caller = await open_agent(laptop)
    events = caller.events()
    monkeypatch.setattr(server, "GO_AHEAD_TIMEOUT_S", 0.01)
    reading = ControlClient(laptop.path).start(SessionRequest((nas.client,)))
    started = await aside(next, reading)
    assert isinstance(started, Started)
    await until(events, SessionEnded, session=started.session.id)
    with pytest.raises(ControlFailed, match="closed again"):
        await aside(next, reading)


async def test_a_session_that_ended_meanwhile_needs_no_withdrawing(make_device, open_agent, capsys) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    await open_agent(laptop)
    attempt = Attempt(called((nas.client,)), wait=True, session=SessionId(32 * "a"))
    request = SessionRequest((nas.client,))
    run = Run(ControlClient(laptop.path), request, attempt, Nicknames(laptop), Output(as_json=False))
    assert await aside(run._given_up, signal.SIGINT) is ExitCode.INTERRUPTED
    assert attempt.closed
    assert capsys.readouterr().err == "The open invites were withdrawn.\n"


async def test_readers_that_stopped_take_no_place(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas, granted=False)
    await open_agent(laptop)
    await open_agent(nas)
    control = ControlClient(laptop.path)

    def stop_early() -> None:
        for _ in range(MAX_CONTROL_CLIENTS + 2):
            reading = control.start(SessionRequest((nas.client,), purpose=Purpose.ASK))
            next(reading)
            next(reading)
            reading.close()

    await aside(stop_early)
    assert (await aside(control.status)).sessions == MAX_CONTROL_CLIENTS + 2


async def test_a_person_accepts_over_the_socket(make_device, open_agent) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas, granted=False)
    caller, called = await open_agent(laptop), await open_agent(nas)
    events = called.events()
    session = await caller.start_session(SessionRequest((nas.client,), purpose=Purpose.ASK))
    invite = (await until(events, Invited)).invite
    assert (await aside(ControlClient(nas.path).accept, str(invite.number))).id == invite.id
    async with asyncio.timeout(WAIT_S):
        assert (await session.wait())[0].state is Progress.JOINED


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"nonsense\n", b'{"ask":"unknown"}\n', b"\xff\xfe\n", b"x" * 300_000 + b"\n"]
)
async def test_nonsense_is_dropped_and_the_agent_goes_on(make_device, open_agent, line: bytes) -> None:
    laptop = make_device("laptop")
    await open_agent(laptop)

    def say() -> bytes:
        holder = read_holder(laptop.path / LOCK_FILE)
        assert holder is not None
        assert holder.socket is not None
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(holder.socket)
            try:
                raw.sendall(line)
                raw.shutdown(socket.SHUT_WR)
                return raw.recv(1)
            except ConnectionError:
                return b""

    assert await aside(say) == b""
    assert (await aside(ControlClient(laptop.path).status)).client == laptop.client


async def test_command_lines_that_hang_keep_no_other_out_for_long(make_device, open_agent) -> None:
    laptop = make_device("laptop")
    await open_agent(laptop)
    holder = read_holder(laptop.path / LOCK_FILE)
    assert holder is not None
    assert holder.socket is not None
    hanging = []
    for _ in range(MAX_CONTROL_CLIENTS):
        _, writer = await asyncio.open_unix_connection(holder.socket)
        hanging.append(writer)
    # Those who hang are dropped by time; a new one is served as soon as there is room.
    hanging.pop().close()
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                await asyncio.to_thread(ControlClient(laptop.path).status)
                break
            except NoAgent:
                continue
    for writer in hanging:
        writer.close()


async def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path, hub_url: str, open_agent) -> None:
    path = tmp_path / ("x" * MAX_SOCKET_PATH_BYTES)
    with Device.create(path, hub_url=hub_url) as laptop:
        await open_agent(laptop)
        holder = read_holder(path / LOCK_FILE)
        assert holder is not None
        assert holder.socket is not None
        assert not Path(holder.socket).is_relative_to(path)
        assert (await aside(ControlClient(path).status)).client == laptop.client
