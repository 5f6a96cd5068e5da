"""The window. Only this package uses Qt; it calls only workflows."""
