"""Finding apps, and asking them to register."""
