"""What a person looks at, made from a run folder alone: curves, animation, TensorBoard, report."""
