"""A device's own data: identity, trust, grants, statements, and its decisions over them."""
