"""Measures how good generated images are: features -> statistics -> a number and its interval."""
