"""Changes of the protocol package that the test vectors must notice: checks dropped, types loosened (``make mutants``).

The known tools (mutmut, cosmic-ray) know no types of fields, and start a test program for each mutant.
"""
