"""Whole conversations: the model calls, tools answer, and the outcome is judged."""
