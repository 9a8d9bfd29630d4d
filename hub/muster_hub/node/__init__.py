"""A node: what it is made of, and what it does in the background."""
