"""The test vectors of SPEC.md, and the program that makes them."""
