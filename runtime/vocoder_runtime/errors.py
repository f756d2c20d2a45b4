"""The error that a user can fix."""


class VocoderError(ValueError):
    r"""A file or array that cannot be used. The message is one line: what is wrong, and the
    way out.

    >>> str(VocoderError("not a graph:\n  no inputs"))
    'not a graph: no inputs'
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
