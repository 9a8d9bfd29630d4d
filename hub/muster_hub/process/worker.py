"""One of several nodes that share a port: ``python -m muster_hub.process.worker``, started by the supervisor only.

Its plan comes in one line on standard input. The end of that input means that the supervisor is gone, and perhaps the
store with it. The worker answers with one line on standard output once it serves.
"""

import asyncio
import sys

import msgspec
import structlog

from muster_hub.config.hub_key import HubKeyError
from muster_hub.config.settings import SettingError, Settings
from muster_hub.process.ready_message import Ready, say
from muster_hub.process.service import REFUSED, run_node
from muster_hub.process.worker_plan import divided, read_plan
from muster_hub.store.errors import StoreRefused

_log = structlog.get_logger(__name__)


def main() -> int:
    """Serve as the plan says, and return the exit code."""
    try:
        settings, workers = read_plan(sys.stdin.buffer.readline())
        return run_node(settings, _say_ready, divided(workers), _end_with_supervisor)
    except msgspec.DecodeError:
        sys.stderr.write("A worker is started by: muster hub --workers N\n")
        return REFUSED
    except (SettingError, StoreRefused, HubKeyError) as error:
        sys.stderr.write(f"The hub was not started. {error}\n")
        return REFUSED


async def _say_ready(_settings: Settings, told: Ready) -> None:
    say(msgspec.json.encode(told).decode() + "\n")


def _end_with_supervisor(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def on_input() -> None:
        # Nothing follows the plan, so this read returns at the end of the pipe.
        loop.remove_reader(sys.stdin.fileno())
        _log.warning("supervisor_gone")
        stop.set()

    loop.add_reader(sys.stdin.fileno(), on_input)


if __name__ == "__main__":
    sys.exit(main())
