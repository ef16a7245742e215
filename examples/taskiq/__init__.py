"""A guest book on TaskIQ."""
