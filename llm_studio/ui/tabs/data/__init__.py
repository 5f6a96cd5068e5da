"""The tab Data. Its page is in `page.py`; the other modules are parts of it."""
