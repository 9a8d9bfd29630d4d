"""The sessions of an agent: created here or joined, with the invites that lead to them."""
