"""First result: a month of a made-up GCM, downscaled by a small emulator that is installed."""
