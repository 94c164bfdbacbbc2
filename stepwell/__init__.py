"""Stepwell: durable functions triggered by events."""
