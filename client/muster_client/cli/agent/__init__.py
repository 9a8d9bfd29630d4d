"""``muster agent``: run it, its log, its status, and its installation as a service."""
