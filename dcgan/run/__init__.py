"""The run folder: its paths, its checkpoints, and a trained run opened from it."""
