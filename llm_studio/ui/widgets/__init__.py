"""Parts that tabs are built from. They know nothing of projects and tasks."""
