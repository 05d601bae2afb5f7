"""The content of a file where a path is asked for: reader files hold what they need."""


class Inline(str):
    """What a file says, in place of its path."""
