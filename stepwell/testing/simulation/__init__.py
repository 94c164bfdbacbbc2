"""Whole worlds on virtual time: random users, random faults, and the laws that must hold."""
