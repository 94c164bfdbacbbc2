"""The worker's side of the worker connection: rules in `protocol.py`, input and output
around it."""
