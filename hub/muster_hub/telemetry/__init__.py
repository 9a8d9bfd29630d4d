"""A node's log, and faults without secrets."""
