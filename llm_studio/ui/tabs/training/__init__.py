"""The tab Training. Its page is in `page.py`; the other modules are parts of it."""
