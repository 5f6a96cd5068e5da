"""Texts from the Hugging Face hub: the catalogue, the search, the preview and the download."""
