"""From photos to tags: devices, prediction, decision and export."""
