"""Time and memory of runs and adaptation."""
