"""A node: its parts, and its background duties."""
