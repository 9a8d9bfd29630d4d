"""The command ``muster hub`` as processes: settings check, signals, supervisor and workers, and the ready message."""
