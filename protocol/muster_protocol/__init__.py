"""Muster's wire protocol: messages, statements and checks: pure, without I/O, clock or randomness of its own."""
