"""report.html: one file that says in words and pictures what a run has learnt.

`page.render` makes it from plain values and from the run folder's own files. Nothing here knows
options, networks or data sets; nothing in the page asks any address for anything.
"""
