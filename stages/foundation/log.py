"""What a stage says while it runs."""

import sys


def say(line: str) -> None:
    """Print one line at once, also through DVC's pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
