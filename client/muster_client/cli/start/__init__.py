"""``muster session start``: one attempt, its progress, and interrupts."""
