"""The configuration of a node: its settings, addresses, certificate and key."""
