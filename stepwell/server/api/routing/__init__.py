"""What a request may carry, and how the API answers: the same for every route."""
