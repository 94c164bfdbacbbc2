"""What every store and every adapter must do, as suites of tests. Whoever writes one runs them."""
