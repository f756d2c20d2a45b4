"""What the page's player sends to the loudspeaker, sample by sample, and how the page draws lots.

The player is run on an OfflineAudioContext, in which time passes by the sample. Its sounds are
ramps, so that every sample of the output tells which sound it is of and from which position.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page
from scipy import stats

from tests.listening.material import RATE, make_folders
from vocoder.listening.build import Options, build_abx, build_mushra

pytest_plugins = ["tests.browser"]

SAMPLES = 12000
LEAD = 160
FADE = 80

RENDER = """async ({ rate, samples, length, steps }) => {
  const context = new OfflineAudioContext(1, length, rate);
  const player = new Player(context);
  const value = (i) => 0.2 + (0.5 * i) / samples;
  const ramp = (sign) => Float32Array.from({ length: samples }, (_, i) => sign * value(i));
  player.put(new Map([["up", ramp(1)], ["down", ramp(-1)]]));
  const run = (code) => new Function("player", code)(player);
  for (const [at, code] of steps) {
    if (at === 0) run(code);
    else context.suspend(at / rate).then(() => { run(code); context.resume(); });
  }
  const rendered = await context.startRendering();
  return {
    output: [...rendered.getChannelData(0)],
    heard: Object.fromEntries(["up", "down"].map((name) => [name, player.heardSeconds(name)])),
    plays: Object.fromEntries(player.plays),
    position: player.position,
    playing: player.playing,
    region: [player.start, player.end],
  };
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("player")
    reference, systems = make_folders(folder, seconds=0.3)
    build_mushra(reference, systems, folder / "mushra", Options(utterances=3, seed=1))
    build_abx(reference, systems, folder / "abx", Options(utterances=3, seed=1), repeats=40)
    return folder


@pytest.fixture
def mushra_page(page: Page, pages: Path) -> Page:
    page.goto((pages / "mushra" / "page" / "index.html").as_uri())
    return page


@pytest.fixture
def abx_page(page: Page, pages: Path) -> Page:
    page.goto((pages / "abx" / "page" / "index.html").as_uri())
    return page


def render(page: Page, steps: list[tuple[int, str]], length: int = 16384) -> dict:
    """Run steps of JavaScript at samples (multiples of 128) of a rendering."""
    arguments = {"rate": RATE, "samples": SAMPLES, "length": length, "steps": steps}
    result = page.evaluate(RENDER, arguments)
    result["output"] = np.array(result["output"])
    return result


def ramp(positions: np.ndarray) -> np.ndarray:
    return 0.2 + 0.5 * positions / SAMPLES


def fade_in(samples: int) -> np.ndarray:
    """Gain of so many samples from the beginning of a fade: a raised cosine, then one."""
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(np.arange(samples) / FADE, 1))


def test_a_switch_fades_out_and_in_within_5_ms_each_and_keeps_the_position(mushra_page):
    switch = 4096
    steps = [(0, "player.select('up', true)"), (switch, "player.select('down')")]
    result = render(mushra_page, steps, 8192)
    output = result["output"]
    assert np.all(output[:LEAD] == 0)
    out = switch + LEAD
    positions = np.arange(8192) - LEAD  # of the one timeline that both sounds share
    gain = fade_in(8192 - LEAD)
    # The region's own fade and the player's lie on each other at the very beginning.
    both = slice(LEAD + FADE + 5, out - 1)
    np.testing.assert_allclose(output[both], ramp(positions[both]), atol=1e-4)
    assert np.all(output[LEAD : LEAD + FADE] <= ramp(positions[LEAD : LEAD + FADE]) + 1e-4)
    fading = slice(out, out + FADE)
    np.testing.assert_allclose(
        output[fading], ramp(positions[fading]) * gain[FADE - 1 :: -1][:FADE], atol=0.02
    )
    rising = slice(out + FADE + 1, out + 2 * FADE)
    np.testing.assert_allclose(-output[rising], ramp(positions[rising]) * gain[1:FADE], atol=0.02)
    # Never both at once: until here the sign is the first sound's, from here the second's.
    assert output[: out + FADE].min() >= 0
    assert output[out + FADE + 1 :].max() <= 0
    later = slice(out + 2 * FADE + 5, 8192)
    np.testing.assert_allclose(-output[later], ramp(positions[later]), atol=1e-4)
    assert abs(output[out + FADE]) < 0.01


def test_a_loop_repeats_its_region_with_faded_ends(mushra_page):
    first, last = 1600, 9600
    steps = [(0, f"player.setRegion({first / RATE}, {last / RATE}); player.select('up', true)")]
    output = render(mushra_page, steps, 16384)["output"]
    length = last - first
    for lap in (0, 1):
        begin = LEAD + lap * length
        middle = np.arange(FADE + 5, length - FADE)
        np.testing.assert_allclose(output[begin + middle], ramp(first + middle), atol=1e-4)
    seam = LEAD + length
    ending = np.arange(length - FADE, length)
    expected = ramp(first + ending) * fade_in(FADE + 1)[:0:-1]
    np.testing.assert_allclose(output[LEAD + ending], expected, atol=0.02)
    starting = np.arange(FADE)
    expected = ramp(first + starting) * fade_in(FADE)
    np.testing.assert_allclose(output[seam + starting], expected, atol=0.02)
    assert abs(output[seam - 1 : seam + 1]).max() < 0.005


def test_without_looping_a_sound_plays_once_and_then_begins_anew(mushra_page):
    result = render(mushra_page, [(0, "player.setLooping(false); player.select('up', true)")])
    output = result["output"]
    assert np.all(output[LEAD + SAMPLES + 1 :] == 0)
    assert abs(output[LEAD + SAMPLES - FADE - 5]) > 0.6
    # The end of a rendering may come before the player hears of the end of a sound.
    assert result["position"] == pytest.approx(0) or not result["playing"]
    assert result["heard"]["up"] == pytest.approx(SAMPLES / RATE, abs=0.3)


def test_pause_keeps_the_position_and_seek_changes_it(mushra_page):
    steps = [
        (0, "player.select('up', true)"),
        (2048, "player.pause()"),
        (4096, "player.play()"),
        (8192, "player.seek(0.125)"),
    ]
    output = render(mushra_page, steps, 12288)["output"]
    stopped = 2048 + LEAD + FADE
    assert np.all(output[stopped + 1 : 4096 + LEAD] == 0)
    position = stopped - LEAD
    later = np.arange(4096 + LEAD + FADE + 5, 8192 + LEAD)
    expected = ramp(position + later - (4096 + LEAD))
    np.testing.assert_allclose(output[later], expected, atol=1e-4)
    sought = np.arange(8192 + LEAD + 2 * FADE + 5, 12288)
    expected = ramp(2000 + sought - (8192 + LEAD + FADE))
    np.testing.assert_allclose(output[sought], expected, atol=1e-4)


def test_hearing_and_plays_are_counted_for_each_sound(mushra_page):
    steps = [
        (0, "player.select('up', true)"),
        (3200, "player.select('down')"),
        (4800, "player.select('up')"),
        (6400, "player.pause()"),
    ]
    result = render(mushra_page, steps, 12800)
    assert result["plays"] == {"up": 2, "down": 1}
    assert result["heard"]["up"] == pytest.approx((3200 + FADE + 1600) / RATE, abs=0.011)
    assert result["heard"]["down"] == pytest.approx(1600 / RATE, abs=0.009)
    assert not result["playing"]


def test_many_switches_within_a_fade_stay_silent_or_whole(mushra_page):
    codes = ["player.select('down')", "player.select('up')"]
    steps = [(0, "player.select('up', true)")]
    steps += [(2048 + 128 * i, codes[i % 2]) for i in range(8)]
    result = render(mushra_page, steps, 8192)
    output = result["output"]
    # No sample is louder than one sound alone, and it goes on with the last one chosen.
    positions = np.arange(8192) - LEAD
    assert np.all(np.abs(output) <= ramp(np.maximum(positions, 0)) + 1e-3)
    tail = np.arange(6000, 8192)
    np.testing.assert_allclose(output[tail], ramp(tail - LEAD), atol=1e-3)


def test_a_loop_is_at_least_half_a_second_and_within_the_sound(mushra_page):
    for asked, got in (
        ((0.1, 0.7), (0.1, 0.7)),
        ((0.2, 0.3), (0.2, 0.7)),  # widened to half a second
        ((0.7, 0.74), (0.25, 0.75)),  # and kept within the sound
        ((-1, 5), (0, 0.75)),
    ):
        steps = [(0, f"player.setRegion({asked[0]}, {asked[1]})")]
        assert render(mushra_page, steps, 256)["region"] == pytest.approx(got)


# -- lots ------------------------------------------------------------------------------------------


def test_every_order_is_equally_likely_and_a_seed_gives_one(mushra_page):
    draw = """(seeds) => seeds.map((seed) => shuffled([0, 1, 2, 3], randomFrom(seed)).join(""))"""
    for seeds in (list(range(12000)), np.random.default_rng(0).integers(0, 2**32, 12000).tolist()):
        orders = mushra_page.evaluate(draw, seeds)
        count = Counter(orders)
        assert len(count) == 24
        # Fails once in a million runs of a fair generator; this one is the same every time.
        assert stats.chisquare(list(count.values())).pvalue > 1e-6
        assert mushra_page.evaluate(draw, seeds[:50]) == orders[:50]


def test_the_plan_of_a_mushra_test_is_fair_and_whole(mushra_page):
    plans = mushra_page.evaluate(
        """() => {
          const description = JSON.parse(document.getElementById("description").textContent);
          const plan = (seed) => mushra.plan(description, randomFrom(seed));
          return Array.from({ length: 1500 }, (_, seed) => plan(seed));
        }"""
    )
    first_trials = Counter(plan[0]["trial"] for plan in plans)
    assert len(first_trials) == 3
    assert stats.chisquare(list(first_trials.values())).pvalue > 1e-6
    name = plans[0][0]["trial"]
    places: Counter[str] = Counter()
    for plan in plans:
        (trial,) = [trial for trial in plan if trial["trial"] == name]
        assert sorted(trial["order"]) == sorted(trial["stimuli"])
        places[trial["order"][0]] += 1
    assert len(places) == 5
    assert stats.chisquare(list(places.values())).pvalue > 1e-6
    same = [[t["order"] for t in plan] for plan in plans[:2]]
    assert same[0] != same[1]


def test_x_is_a_by_the_toss_of_a_coin_and_a_is_either_system(abx_page):
    plans = abx_page.evaluate(
        """() => {
          const description = JSON.parse(document.getElementById("description").textContent);
          const plan = (seed) => abx.plan(description, randomFrom(seed));
          return Array.from({ length: 100 }, (_, seed) => plan(seed));
        }"""
    )
    assert {len(plan) for plan in plans} == {3 * 40}
    trials = [trial for plan in plans for trial in plan]
    x_is_a = [trial["x"] == trial["a"] for trial in trials]
    a_is_first = [trial["a"] < trial["b"] for trial in trials]
    for coin in (x_is_a, a_is_first, np.logical_xor(x_is_a, a_is_first)):
        assert stats.binomtest(int(np.sum(coin)), len(coin)).pvalue > 1e-6
    # Draws are independent.
    again = np.array(x_is_a[1:]) == np.array(x_is_a[:-1])
    assert stats.binomtest(int(again.sum()), len(again)).pvalue > 1e-6
