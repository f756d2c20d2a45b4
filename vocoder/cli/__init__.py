"""The command line: from preparing a corpus to training, evaluation and listening tests.

One module per group of commands; each imports what it needs inside the command, so that
``vocoder --help`` loads neither torch nor the models.
"""

from vocoder.cli.program import app

__all__ = ["app"]
