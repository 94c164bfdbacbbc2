"""The engine as a test has it: in memory, on a clock that stands still until the test moves it."""
