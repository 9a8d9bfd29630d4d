"""What is said on Muster's wire, and how it is proven: pure, without I/O, clock or randomness of its own."""
