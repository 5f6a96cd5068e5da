"""Live views of the inside of a model: widgets that display the results they are given and emit signals.

They are used by the tab Inside. No view knows the project or requests a computation itself.
"""
