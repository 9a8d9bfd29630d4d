"""What is wrong with a device and its way to the hub, and the next step."""
