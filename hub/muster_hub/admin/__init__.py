"""The hub's private socket, by which its operator's commands ask a running hub."""
