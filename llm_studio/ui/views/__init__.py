"""Live views of what happens inside a model: they show what they are given and emit what the user does.

Tabs and lessons place them. None of them knows a project or requests anything itself.
"""
