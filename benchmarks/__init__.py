"""`make bench`: this project beside the plain loops of public tutorials, in one process, interleaved."""
