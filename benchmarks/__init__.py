"""Benchmarks behind the published metrics; see README.md."""
