"""Texts from the Hugging Face hub: catalogue, search, preview and download."""
