"""The trained networks as files that need nothing of this project; each is checked, then named."""
