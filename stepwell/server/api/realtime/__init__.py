"""Publishing to channels, and subscribing to them."""
