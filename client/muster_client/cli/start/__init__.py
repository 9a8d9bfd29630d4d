"""`muster session start`: one attempt, its progress, and what an interrupt does to it."""
