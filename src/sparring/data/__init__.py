"""From what a GAN learns: one kind of batch, one file."""
