"""Changes of the protocol package that the test vectors must notice: dropped checks and looser types (`make mutants`).

The known tools (mutmut, cosmic-ray) know no types of fields, and start a test program for each mutant.
"""
