"""What a person sees: text, progress, and none of TensorFlow's chatter."""
