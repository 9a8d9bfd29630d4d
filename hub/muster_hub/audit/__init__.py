"""The records of what was done and refused."""
