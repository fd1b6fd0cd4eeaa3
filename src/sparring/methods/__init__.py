"""One paper, one file. The file name is the registry: adding a GAN adds one file."""
