"""Muster's hub: sockets, presence, decisions, sessions and the record of them."""
