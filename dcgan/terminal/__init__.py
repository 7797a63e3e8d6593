"""Output to the terminal: text and progress, without TensorFlow's chatter."""
