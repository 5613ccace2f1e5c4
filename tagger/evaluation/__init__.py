"""Evaluation and comparison of bundles, and the reports of both."""
