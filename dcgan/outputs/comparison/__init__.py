"""comparison.html: several runs side by side, in one file.

`page.render` makes it from runs that were opened and from their folders' own files, with the
charts, pictures and words of the report. Nothing here knows options, networks or data sets.
"""
