"""The REST API's first version, which people and programs ask."""
