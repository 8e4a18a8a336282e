"""Where candidates are evaluated: here, in worker processes, on a cluster."""
