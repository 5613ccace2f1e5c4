"""Inspect a source before its first run: what would be read, left out and refused, and why; without running a network."""
