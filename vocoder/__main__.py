"""``python -m vocoder``, also for ``accelerate launch -m vocoder train …``."""

from vocoder.cli import app

app()
