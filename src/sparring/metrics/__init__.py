"""Functions that judge. One metric, one file; each with its equation and source."""
