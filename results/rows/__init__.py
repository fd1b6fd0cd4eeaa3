"""One row of RESULTS.md, one file."""
