"""A command line before an agent that does not answer as it should."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from muster_client import ControlClient, SessionRequest
from muster_client.control import client as control_client
from muster_client.control.lock import agent_lock
from muster_client.errors import ControlFailed, HubUnreachable, NoAgent
from muster_client.paths import LOCK_FILE
from muster_protocol.ids import ClientId

REQUEST = SessionRequest((ClientId("a" * 32),))
Answer = Callable[[socket.socket], object]


@contextmanager
def agent(folder: Path, answer: Answer) -> Iterator[None]:
    """Read the request of one command line, and then do as ``answer`` says."""
    path = folder / "s.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        with agent_lock(folder / LOCK_FILE, path):
            yield
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    return tmp_path / "d"


def test_an_agent_that_ends_before_it_answers(folder: Path) -> None:
    with agent(folder, lambda connection: None), pytest.raises(NoAgent):
        ControlClient(folder).status()


def test_another_user_in_the_place_of_an_agent_that_ended_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def empty_inbox(connection: socket.socket) -> None:
        with suppress(ConnectionError):
            connection.sendall(b'{"is":"inbox","invites":[]}\n')

    with agent(folder, empty_inbox):
        assert ControlClient(folder).inbox() == ()
    (folder / "s.sock").unlink()
    me = os.getuid()
    monkeypatch.setattr("os.getuid", lambda: me + 1)
    with agent(folder, empty_inbox), pytest.raises(NoAgent, match="another user"):
        ControlClient(folder).inbox()


def test_an_agent_that_ends_amid_a_start(folder: Path) -> None:
    with agent(folder, lambda connection: None), pytest.raises(NoAgent):
        list(ControlClient(folder).start(REQUEST))


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"is":"later"}\n', b'{"is":"done"}\n'])
def test_an_agent_of_another_version(folder: Path, line: bytes) -> None:
    with agent(folder, lambda connection: connection.sendall(line)), pytest.raises(ControlFailed):
        ControlClient(folder).status()


def test_an_agent_that_never_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_client, "ANSWER_TIMEOUT_S", 0.05)
    over = threading.Event()
    with agent(folder, lambda connection: over.wait(10)):
        with pytest.raises(HubUnreachable, match="in time"):
            ControlClient(folder).status()
        over.set()


def test_a_socket_that_an_agent_left_behind(folder: Path) -> None:
    with agent_lock(folder / LOCK_FILE, folder / "gone.sock"), pytest.raises(NoAgent):
        ControlClient(folder).status()


def test_without_an_agent_there_is_nothing_to_notify(folder: Path) -> None:
    ControlClient(folder).notify()
