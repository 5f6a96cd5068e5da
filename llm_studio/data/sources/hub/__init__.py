"""Texts from the Hugging Face hub: the catalogue, the search, a look before taking any, the download."""
