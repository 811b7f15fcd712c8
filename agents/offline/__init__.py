"""Learning from a stored replay."""
