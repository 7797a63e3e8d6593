"""Speed, measured beside what it is to be compared with, in the same minutes."""
