"""The program's window: application, main window, the shell around the pages, the session that runs their tasks."""
