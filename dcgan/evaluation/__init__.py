"""How good generated images are: features -> statistics -> a number with its interval."""
