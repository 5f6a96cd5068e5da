"""The window. Only this package knows Qt; it calls workflows and nothing below them."""
