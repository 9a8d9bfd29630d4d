"""What each file of vectors holds, one module for a subject."""
