"""Which device is connected where, and which devices are watched."""
