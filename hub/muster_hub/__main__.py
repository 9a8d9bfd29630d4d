"""``python -m muster_hub`` is ``muster hub``."""

from muster_hub.cli import app

app(prog_name="muster hub")
