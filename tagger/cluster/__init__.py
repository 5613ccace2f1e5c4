"""Run the work on photos on the machines of a Ray cluster."""
