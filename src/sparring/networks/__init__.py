"""Networks that two methods share, or one that is long."""
