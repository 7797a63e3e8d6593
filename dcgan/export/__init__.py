"""Exports trained networks to files for other runtimes; each is checked before it gets its name."""
