"""Metrics of classification, calibration and significance as pure functions."""
