"""The server's side of the worker connection: rules in `protocol.py`, sockets beside."""
