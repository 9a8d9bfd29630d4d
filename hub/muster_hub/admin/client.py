"""The operator's end of the private socket."""

import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from muster_hub.admin.address import SOCKET, address
from muster_hub.admin.messages import MAX_LINE_BYTES, AdminRequest, AnyReply, read_reply
from muster_hub.admin.peer import is_ours

ANSWER_LIMIT_S = 15.0


class NoHubError(Exception):
    """Raised when no hub answers from this data folder."""


def ask(data_dir: Path, request: AdminRequest) -> AnyReply:
    """Ask the hub of a data folder; with several workers any of them answers for all. Raises ``NoHubError``."""
    for path in _sockets(data_dir):
        answer = _ask(path, msgspec.json.encode(request) + b"\n")
        if answer is not None:
            return answer
    raise NoHubError(f"No hub runs with the data folder {data_dir}.")


def _sockets(data_dir: Path) -> Iterator[Path]:
    yield data_dir / SOCKET
    yield from sorted(data_dir.glob(f"workers/*/{SOCKET}"))


def _ask(path: Path, line: bytes) -> AnyReply | None:
    """Return the answer; None where no hub listens that this process may believe."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_LIMIT_S)
        try:
            with address(path) as name:
                connection.connect(name)
            if not is_ours(connection):
                return None
            connection.sendall(line)
            with connection.makefile("rb") as reader:
                return read_reply(reader.readline(MAX_LINE_BYTES))
        except TimeoutError:
            raise NoHubError(f"The hub of {path.parent} did not answer within {ANSWER_LIMIT_S:.0f} s.") from None
        except PermissionError:
            raise NoHubError(f"{path} belongs to another user: run this as the user of the hub, or as root.") from None
        except msgspec.DecodeError:
            raise NoHubError("The hub answered something else; is it of another version?") from None
        except OSError:
            return None
