"""Makes folders and files that `dcgan.datasets` reads; training never imports this package."""
