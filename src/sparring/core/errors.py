"""Errors that a user can mend: one clear line, no traceback."""

from __future__ import annotations


class UserError(Exception):
    """Bad usage or input. The message names the file or flag and says what to do; the command line exits with 2."""


class RunError(UserError):
    """A run cannot go on (disk full, diverged, folder unwritable). What was saved before is kept; exit status 2."""
