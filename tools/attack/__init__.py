"""Attacks on a server of one's own: `scripts/attack --help`. `tests/attack` uses the same."""
