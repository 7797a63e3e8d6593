"""comparison.html: several runs side by side, in one file.

`page.render` makes it from opened runs and from the files in their folders, with the charts,
pictures and words of the report. Nothing here depends on options, networks or data sets.
"""
