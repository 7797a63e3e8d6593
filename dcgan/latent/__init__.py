"""Seeds, latent vectors, classes, and paths through latent space."""
