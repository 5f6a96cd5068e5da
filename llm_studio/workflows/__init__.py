"""Everything a user can ask for, as plain functions: the command line and the window call only these.

Heavy libraries are imported inside the functions, so that importing this package costs nothing.
"""
