"""``python -m muster_hub`` is ``muster hub``."""

from muster_hub.cli.command import app

app(prog_name="muster hub")
