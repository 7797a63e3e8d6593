"""What people look at, made from a run folder alone: curves, animation, TensorBoard, report."""
