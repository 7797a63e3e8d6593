"""What can be asked: options, presets, the command line; imports nothing of the parts."""
