"""A run's folder: checkpoints, lock, logs, and the loop that fills it."""
