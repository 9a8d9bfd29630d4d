"""A copy of a device's folder reaches nothing of the original on the same machine."""

import asyncio
import shutil
from pathlib import Path

import pytest

from muster_client import Agent, Device
from muster_client.control.client import ControlClient
from muster_client.errors import NoAgent


async def test_a_command_line_of_a_copy_does_not_reach_the_originals_agent(victim: Device, tmp_path: Path) -> None:
    async with Agent.open(victim):
        copy = shutil.copytree(victim.path, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
        with pytest.raises(NoAgent):
            await asyncio.to_thread(ControlClient(copy).status)
