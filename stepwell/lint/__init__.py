"""A linter for functions with steps: `stepwell lint`, and the same as a plugin of flake8."""
