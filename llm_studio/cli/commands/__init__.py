"""The commands, grouped by topic. Each module adds its own to the program with `register`."""
