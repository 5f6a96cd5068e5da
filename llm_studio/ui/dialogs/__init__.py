"""Dialogs: windows that ask or inform the user."""
