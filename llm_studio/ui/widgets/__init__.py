"""Widgets from which tabs are built. They are independent of projects and tasks."""
