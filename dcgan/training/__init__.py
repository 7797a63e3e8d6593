"""Trains both networks: input, losses, steps, the loop and its hooks."""
