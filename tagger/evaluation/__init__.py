"""Measuring bundles, and the reports of it."""
