"""The provenance room."""
