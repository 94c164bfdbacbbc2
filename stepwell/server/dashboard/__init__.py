"""The dashboard: a page of static files that reads and acts through the public API alone."""
