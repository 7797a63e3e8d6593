"""Options, presets and the command line; imports none of the parts that do the work."""
