"""The tab Export."""
