"""Classification, calibration and significance metrics as pure functions."""
