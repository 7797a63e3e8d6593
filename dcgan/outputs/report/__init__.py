"""report.html: one file that says in words and pictures what a run has learnt.

`page.render` makes it from plain values and from the run folder's own files. Nothing here depends
on options, networks or data sets, and the page loads nothing from any address.
"""
