"""LLM Studio: build a small language model from nothing."""

__version__ = "0.1.0"
