"""The tab Understand."""
