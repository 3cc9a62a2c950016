"""How far an input lies from what an emulator has learned, and what error to expect there."""
