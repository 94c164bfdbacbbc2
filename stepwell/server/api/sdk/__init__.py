"""What SDKs ask: sending events, registering, saving steps, the state of a run."""
