"""What a node is told: its settings, addresses, certificate and key."""
