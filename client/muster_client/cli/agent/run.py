"""One run of ``muster agent``, from connecting until a signal ends it."""

import asyncio
import signal
from collections.abc import AsyncIterator

from muster_client import Agent, Asked, Device, Policy
from muster_client.cli.agent.log import AgentLog
from muster_client.cli.agent.on_session import runner
from muster_client.cli.arguments.accept import AcceptOption
from muster_client.events import Event


def policy_of(accept: AcceptOption) -> Policy:
    """Return the library's policy for an ``--accept`` option."""
    waits = accept in {AcceptOption.ALL, AcceptOption.ASKED}
    return Policy(asked=Asked.ASK if waits else Asked.REFUSE, auto=accept in {AcceptOption.ALL, AcceptOption.GRANTED})


async def serve(device: Device, log: AgentLog, accept: AcceptOption, command: str | None) -> None:
    """Run the device's agent until SIGINT or SIGTERM; ``command`` runs for each session.

    Raises ``AgentRunning``, and ``HubRefused`` if the hub proves its key and refuses for good.
    """
    callback = None if command is None else runner(command, log)
    async with (
        Agent.open(device, policy=policy_of(accept), on_session=callback) as running,
        asyncio.TaskGroup() as beside,
    ):
        log.started()
        telling = beside.create_task(_tell(running.events(), log))
        await _until_told_to_stop()
        telling.cancel()


async def _tell(stream: AsyncIterator[Event], log: AgentLog) -> None:
    async for event in stream:
        log.tell(event)


async def _until_told_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
