"""Serves an exported model over HTTP, without importing Keras or training code."""
