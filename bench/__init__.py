"""Benchmarks beside peers, on one machine, in one run. Numbers are ratios; see docs/speed.md."""
