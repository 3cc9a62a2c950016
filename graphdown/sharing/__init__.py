"""What one gives to others with an emulator: passport, example, and the check of both."""
