"""Seeds, latent vectors, and the ways between them."""
