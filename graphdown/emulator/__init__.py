"""The emulator: a trained network with all that is needed to use it."""
