"""One device's connection: its handshake and the queue for it, its requests in order, their rate, and their table."""
