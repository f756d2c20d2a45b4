"""The comparison under one budget: its learning curves."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studies.comparison.figures import Line, draw_curves, spread, style

pytestmark = pytest.mark.slow


def test_names_are_moved_apart_no_more_than_needed():
    assert spread([0.1, 0.5, 0.9], 0.2) == [0.1, 0.5, 0.9]
    draw = np.random.default_rng(0)
    for _ in range(50):
        places = np.sort(draw.uniform(0, 1, 9))
        moved = np.array(spread(list(places), 0.07))
        assert (np.diff(moved) >= 0.07 - 1e-9).all()
        assert moved.mean() == pytest.approx(places.mean())


def test_styles_of_a_dozen_lines_differ():
    assert len({style(place, False) for place in range(1, 13)} | {style(0, True)}) == 13


def test_a_figure_shows_every_line_in_its_colour_on_white(tmp_path: Path):
    lines = [
        Line("ours", [1, 2, 4], [1e12, 2e12, 4e12], [1, 2, 3], [0.9, 1.9, 2.9], [1.1, 2.1, 3.1],
             ours=True),
        Line("first", [1, 3], [1e13, 3e13], [1.5, 2.0], [None, None], [None, None]),
        Line("second, with a long name", [2, 5], None, [1.0, 1.1], [None, None], [None, None]),
    ]  # fmt: skip
    path = tmp_path / "figures" / "pesq.png"
    draw_curves(path, lines, "PESQ-WB, higher is better", ("recording", 4.5))
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).astype(int)
    assert (pixels == 255).all(axis=1).mean() > 0.8
    for place, line in enumerate(lines):
        colour = style(place, line.ours)[0]
        wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        near = (np.abs(pixels - wanted).max(axis=1) < 12).sum()
        assert near > 100, line.label
