"""Images from files, downloads or a seed. Imports nothing, so that decoding workers start fast."""
