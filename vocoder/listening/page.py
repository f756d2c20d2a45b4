"""The page of a listening test: one HTML file, and one script per sound.

A page opened from disk may not read other files, but may run scripts in its folder. Each sound is
therefore a script that passes its samples to one call; the page loads those of one trial at a time.
"""

import base64
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined

from vocoder.data.files import write_text
from vocoder.listening.key import Key, TrialKey
from vocoder.listening.stimuli import Waveform

PAGE_NAME = "index.html"
MUST_HEAR_S = 1.0
"""Seconds of each sound (or its length, if shorter) that must be played before the next trial."""

_TEMPLATES = files("vocoder.listening") / "templates"
_SCRIPTS = {
    "mushra": ("random.js", "player.js", "waveform.js", "session.js", "mushra.js"),
    "abx": ("random.js", "player.js", "waveform.js", "session.js", "abx.js"),
}


def write_page(folder: Path, key: Key, instructions: str) -> None:
    """Write `index.html`, which contains only the opaque names of the key.

    Args:
        folder: of the page.
        key: of the test.
        instructions: plain text; empty lines separate paragraphs.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(_text("page.html.j2"))
    html = template.render(
        kind=key.kind,
        title=key.title,
        paragraphs=[part.split() for part in instructions.split("\n\n") if part.strip()],
        trials=len(key.trials) * key.repeats,
        style=_text("page.css"),
        script="\n".join(_text(name) for name in _SCRIPTS[key.kind]),
        description=_json(_description(key)),
    )
    write_text(folder / PAGE_NAME, html)


def write_sound(folder: Path, name: str, waveform: Waveform) -> bytes:
    """Write a sound as `stimuli/NAME.js`: 16-bit samples, as `vocoder.data.audio` rounds them.

    Returns:
        The samples, two bytes each, little-endian.
    """
    samples = np.clip(np.round(waveform * 32768), -32768, 32767).astype("<i2").tobytes()
    text = base64.b64encode(samples).decode("ascii")
    write_text(folder / "stimuli" / f"{name}.js", f'receiveSound("{name}", "{text}");\n')
    return samples


def _description(key: Key) -> dict[str, Any]:
    """Public data of the page. Names are sorted, so that the order does not reveal systems."""

    def trials(which: dict[str, TrialKey]) -> list[dict[str, Any]]:
        return [
            {"trial": name, "reference": trial.open_reference, "stimuli": sorted(trial.stimuli)}
            for name, trial in sorted(which.items())
        ]

    return {
        "kind": key.kind,
        "test": key.test,
        "sampleRate": key.sample_rate,
        "repeats": key.repeats,
        "mustHear": MUST_HEAR_S,
        "training": trials(key.training),
        "trials": trials(key.trials),
    }


def _json(value: Any) -> str:
    """JSON for a script element: "<" is escaped."""
    return json.dumps(value).replace("<", "\\u003c")


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
