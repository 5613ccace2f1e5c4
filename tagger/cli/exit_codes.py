"""The exit codes that are not those of an `FmtagError`; 2, wrong usage, is click's own."""

EXIT_ERROR = 1
"""The command could not be done."""

EXIT_FAILED_PHOTOS = 3
"""A run is complete, but some photos could not be read."""

EXIT_INTERRUPTED = 130

EXIT_SIGNAL = 128
"""Shells add a signal's number to this."""
