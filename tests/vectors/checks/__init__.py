"""How each file of vectors is checked against the code: its input goes in, what comes out is compared."""
