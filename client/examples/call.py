"""A program of your own in place of ``muster agent``: it calls devices in and derives a key that all of them share.

    python call.py nas workstation

It uses this machine's device, so no other agent of it may be running.
"""

import asyncio
import sys
from pathlib import Path

from muster_client import Agent, SessionRequest
from muster_client.paths import default_path


async def main(folder: Path, names: list[str]) -> int:
    """Call devices by nickname; 0 if all joined."""
    async with Agent.open(folder) as agent:
        await agent.connected()
        peers = {agent.device.peers.resolve(name).client: name for name in names}
        session = await agent.start_session(SessionRequest(tuple(peers)))
        targets = await session.wait()
        for target in targets:
            print(peers[target.client], target.state, target.reason or "")  # noqa: T201 - this is what it is for
        # Every member derives the same 32 bytes. The next epoch gives others.
        key = session.export_key("call.py example", 32)
        print(len(key), "bytes shared with", len(session.members) - 1, "devices")  # noqa: T201 - the same
        await session.close()
        return 0 if all(target.state == "joined" for target in targets) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(default_path(), sys.argv[1:])))
