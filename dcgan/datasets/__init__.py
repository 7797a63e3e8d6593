"""Images from files, downloads or a seed; empty, so that decoding workers start fast."""
