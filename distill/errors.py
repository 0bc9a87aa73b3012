"""What can go wrong while a release is made: one base, so that a command ends with the message and not with a trace."""


class DistillError(Exception):
    """The run cannot go on; the message says why and what to do. The champion in force stays in force."""
