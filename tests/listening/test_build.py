"""Files of a listening test: sounds, names, key, and rejected input."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.listening.material import (
    RATE,
    SYSTEMS,
    UTTERANCES,
    listening_test,
    make_folders,
    save,
    speech,
)
from vocoder.data import files
from vocoder.data.audio import read_audio
from vocoder.errors import AudioError, OutputError, VocoderError
from vocoder.listening.anchors import LOW_ANCHOR_HZ, MID_ANCHOR_HZ, anchor
from vocoder.listening.build import Options, build_abx, build_mushra
from vocoder.listening.key import Key, read_key
from vocoder.listening.loudness import loudness_lufs
from vocoder.listening.stimuli import Material

pytestmark = pytest.mark.slow


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, dict[str, Path]]:
    return make_folders(tmp_path)


def sound(output: Path, name: str) -> np.ndarray:
    """A sound of the page, as the browser decodes it."""
    text = (output / "page" / "stimuli" / f"{name}.js").read_text()
    data = re.fullmatch(rf'receiveSound\("{name}", "([A-Za-z0-9+/=]+)"\);\n', text)[1]
    return np.frombuffer(base64.b64decode(data), "<i2") / 32768


def description(output: Path) -> dict:
    page = (output / "page" / "index.html").read_text()
    return json.loads(re.search(r'id="description">(.*?)</script>', page)[1])


def by_condition(key: Key, output: Path, utterance: str) -> dict[str, np.ndarray]:
    (trial,) = [trial for trial in key.trials.values() if trial.utterance == utterance]
    return {one.condition: sound(output, name) for name, one in trial.stimuli.items()}


def test_a_mushra_trial_has_the_files_the_anchors_and_the_reference_twice(folders, tmp_path):
    reference, systems = folders
    output = tmp_path / "test"
    options = Options(utterances=3, level="none", seed=1)
    key = build_mushra(reference, systems, output, options)
    assert {trial.utterance for trial in key.trials.values()} == set(UTTERANCES)
    for trial in key.trials.values():
        sounds = by_condition(key, output, trial.utterance)
        clean = read_audio(reference / f"{trial.utterance}.wav").waveform.double().numpy()
        assert list(sounds) == ["reference", "anchor_3k5", "anchor_7k", *SYSTEMS]
        np.testing.assert_array_equal(sounds["reference"], clean)
        np.testing.assert_array_equal(sound(output, trial.open_reference), clean)
        for condition, cutoff_hz in (("anchor_3k5", LOW_ANCHOR_HZ), ("anchor_7k", MID_ANCHOR_HZ)):
            low = anchor(clean, RATE, cutoff_hz)
            np.testing.assert_allclose(sounds[condition], low, atol=0.51 / 32768)
        for name in SYSTEMS:
            written = read_audio(systems[name] / f"{trial.utterance}.wav").waveform.numpy()
            np.testing.assert_array_equal(sounds[name], written)
    assert read_key(output / "key.json") == key


def test_the_page_gives_no_system_utterance_or_folder_away(folders, tmp_path):
    reference, systems = folders
    output = tmp_path / "test"
    key = build_mushra(reference, systems, output, Options(title="A <b>title</b>", seed=3))
    page = (output / "page" / "index.html").read_text()
    hidden = [
        *SYSTEMS,
        *UTTERANCES,
        *map(str, systems.values()),
        str(reference),
        "anchor_",
        "seed 3",
    ]
    assert [word for word in hidden if word in page] == []
    assert "A &lt;b&gt;title&lt;/b&gt;" in page
    files = sorted(path.name for path in (output / "page" / "stimuli").iterdir())
    assert all(re.fullmatch(r"[0-9a-f]{12}\.js", name) for name in files)
    trials = [*key.trials.values(), *key.training.values()]
    assert len(files) == sum(len(trial.stimuli) + 1 for trial in trials)
    # Neither order nor position reveals the conditions.
    for trial in description(output)["trials"]:
        assert trial["stimuli"] == sorted(trial["stimuli"])
        assert trial["reference"] not in trial["stimuli"]
    orders = {
        tuple(trial.stimuli[name].condition for name in sorted(trial.stimuli)) for trial in trials
    }
    assert len(orders) > 1
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)


def test_the_same_seed_gives_the_same_test_and_another_seed_another(folders, tmp_path):
    reference, systems = folders
    keys = [
        build_mushra(reference, systems, tmp_path / name, Options(utterances=2, seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert keys[0] == keys[1]
    assert (tmp_path / "a/page/index.html").read_bytes() == (
        tmp_path / "b/page/index.html"
    ).read_bytes()
    assert keys[0].test != keys[2].test
    assert not set(keys[0].trials) & set(keys[2].trials)


def test_a_drawn_seed_differs_each_time_and_is_told_by_the_key(folders, tmp_path):
    reference, systems = folders
    drawn = build_mushra(reference, systems, tmp_path / "a")
    again = build_mushra(reference, systems, tmp_path / "b", Options(seed=drawn.seed))
    other = build_mushra(reference, systems, tmp_path / "c")
    assert again == drawn
    assert other.seed != drawn.seed


def test_utterances_are_drawn_evenly_and_training_apart_from_the_test(folders, tmp_path):
    reference, systems = folders
    for number in range(5):
        for folder in (reference, *systems.values()):
            save(folder / f"more/{number}.wav", speech(seconds=0.1))
    material = Material(reference, systems)
    count = dict.fromkeys(material.utterances, 0)
    for seed in range(800):
        selection = material.select(3, 2, seed)
        assert not set(selection.test) & set(selection.training)
        assert len(selection.test) == 3
        assert len(selection.training) == 2
        for name in selection.test:
            count[name] += 1
    assert set(count) == {*UTTERANCES, *(f"more/{number}" for number in range(5))}
    # 300 expected; five standard deviations of a binomial of 800 with 3/8.
    assert all(abs(times - 300) < 5 * 13.7 for times in count.values())
    named = material.select(["more/1", "ru_0806"], 1, 0)
    assert named.test == ("more/1", "ru_0806")


def test_long_utterances_are_drawn_only_where_short_ones_do_not_suffice(tmp_path):
    reference, systems = make_folders(tmp_path, seconds=0.1)
    for folder in (reference, *systems.values()):
        save(folder / "long.wav", np.full(int(12.1 * RATE), 0.1))
    material = Material(reference, systems)
    for seed in range(30):
        selection = material.select(2, 1, seed)
        assert "long" not in (*selection.test, *selection.training)
    assert "long" in material.select(3, 1, 0).test + material.select(3, 1, 0).training


def test_loudness_is_that_of_the_recording_unless_levels_are_wanted(folders, tmp_path):
    reference, systems = folders
    soft = save(systems["quietvox"] / "ru_0806.wav", 0.2 * speech())
    key = build_mushra(reference, systems, tmp_path / "even", Options(utterances=["ru_0806"]))
    sounds = by_condition(key, tmp_path / "even", "ru_0806")
    target = loudness_lufs(sounds["reference"], RATE)
    for name in SYSTEMS:
        assert loudness_lufs(sounds[name], RATE) == pytest.approx(target, abs=0.02)
    gains_db = {
        stimulus.condition: stimulus.gain_db
        for trial in key.trials.values()
        for stimulus in trial.stimuli.values()
    }
    assert gains_db["quietvox"] == pytest.approx(20 * np.log10(5), abs=0.02)
    assert gains_db["reference"] == gains_db["anchor_7k"] == 0
    assert any(f"{soft}: +14.0 dB" in note for note in key.notes)
    options = Options(utterances=["ru_0806"], level="none")
    key = build_mushra(reference, systems, tmp_path / "raw", options)
    raw = by_condition(key, tmp_path / "raw", "ru_0806")
    assert loudness_lufs(raw["quietvox"], RATE) == pytest.approx(target - 13.98, abs=0.05)


def test_what_would_clip_takes_its_whole_trial_down_by_one_gain(folders, tmp_path):
    reference, systems = folders
    clean = speech()
    loud = clean / np.abs(clean).max()
    save(reference / "ru_0806.wav", loud)
    clicks = 0.05 * loud
    clicks[::4000] = 1.0
    save(systems["noisyvox"] / "ru_0806.wav", clicks)
    key = build_mushra(reference, systems, tmp_path / "test", Options(utterances=["ru_0806"]))
    sounds = by_condition(key, tmp_path / "test", "ru_0806")
    assert max(np.abs(one).max() for one in sounds.values()) == pytest.approx(1.0, abs=1e-4)
    assert np.mean(np.abs(sounds["noisyvox"]) > 0.999) < 1e-3
    levels = [loudness_lufs(sounds[name], RATE) for name in ("reference", *SYSTEMS)]
    assert np.ptp(levels) < 0.05
    gain_db = {s.condition: s.gain_db for t in key.trials.values() for s in t.stimuli.values()}
    assert gain_db["reference"] < -1
    assert gain_db["reference"] == gain_db["anchor_3k5"]


def test_a_constant_delay_is_removed_and_a_long_one_refused(tmp_path):
    reference, systems = make_folders(tmp_path, seconds=2.0)
    clean = speech(seconds=2.0)
    late = save(systems["quietvox"] / "ru_0806.wav", np.concatenate([np.zeros(90), clean[:-90]]))
    early = save(systems["noisyvox"] / "ru_0806.wav", np.concatenate([clean[70:], np.zeros(70)]))
    chosen = {"utterances": ["ru_0806"], "training": 0, "level": "none"}
    key = build_mushra(reference, systems, tmp_path / "test", Options(**chosen))
    sounds = by_condition(key, tmp_path / "test", "ru_0806")
    np.testing.assert_array_equal(sounds["quietvox"][:-90], sounds["reference"][:-90])
    np.testing.assert_array_equal(sounds["noisyvox"][70:], sounds["reference"][70:])
    assert len({len(one) for one in sounds.values()}) == 1
    assert {
        f"{late}: delayed by 90 samples, aligned",
        f"{early}: ahead by 70 samples, aligned",
    } <= set(key.notes)
    with pytest.raises(AudioError, match=rf"{late}: delayed by 90 samples .*allowed 5 ms"):
        build_mushra(reference, systems, tmp_path / "no", Options(**chosen, max_delay_ms=5))
    key = build_mushra(reference, systems, tmp_path / "raw", Options(**chosen, max_delay_ms=0))
    raw = by_condition(key, tmp_path / "raw", "ru_0806")
    np.testing.assert_array_equal(raw["quietvox"][90:], sounds["reference"][:-90])
    with pytest.raises(VocoderError, match="max_delay_ms: -1 is not between"):
        build_mushra(reference, systems, tmp_path / "no", Options(**chosen, max_delay_ms=-1))


def test_lengths_are_cropped_to_the_shortest_as_an_evaluation_does(tmp_path):
    reference, systems = make_folders(tmp_path, seconds=2.0)
    clean = speech(seconds=2.0)
    # 0.2 s are missing at the end of one; silence of 40 ms stands before all of the other.
    short = save(systems["noisyvox"] / "ru_0806.wav", clean[:-3200])
    lead = save(systems["quietvox"] / "ru_0806.wav", np.concatenate([np.zeros(640), clean]))
    chosen = {"utterances": ["ru_0806"], "training": 0, "level": "none"}
    key = build_mushra(reference, systems, tmp_path / "test", Options(**chosen))
    sounds = by_condition(key, tmp_path / "test", "ru_0806")
    assert {len(one) for one in sounds.values()} == {len(clean) - 3200}
    for name in systems:
        np.testing.assert_array_equal(sounds[name], sounds["reference"])
    assert set(key.notes) >= {
        f"{lead}: delayed by 640 samples, aligned",
        f"{short}: its length differs by -0.200 s from the recording's; all versions are cropped "
        "to the shortest",
    }
    assert not any(f"{lead}: its length" in note for note in key.notes)
    # The lead is no difference in length: with the short one left out, none need be allowed.
    del systems["noisyvox"]
    strict = Options(**chosen, max_length_difference_s=0.0)
    assert build_mushra(reference, systems, tmp_path / "strict", strict).trials
    arguments = ("build", "mushra", "--reference", reference, "--output", tmp_path / "cli")
    arguments += ("--system", f"q={systems['quietvox']}", "--utterances", "ru_0806")
    save(lead, clean[:-3200])
    refused = listening_test(*arguments, "--max-length-difference", 0.1)
    assert refused.exit_code == 1
    assert "allowed 0.1 s (--max-length-difference)" in refused.stderr
    assert listening_test(*arguments).exit_code == 0


def test_other_rates_are_brought_to_the_recordings(folders, tmp_path):
    import soxr

    reference, systems = folders
    path = systems["noisyvox"] / "ru_0806.wav"
    save(path, soxr.resample(speech(), RATE, 24000, quality="VHQ"), 24000)
    options = Options(utterances=["ru_0806"], training=0, level="none")
    key = build_mushra(reference, systems, tmp_path / "test", options)
    assert key.sample_rate == description(tmp_path / "test")["sampleRate"] == RATE
    assert f"{path}: resampled from 24000 to 16000 Hz" in key.notes
    sounds = by_condition(key, tmp_path / "test", "ru_0806")
    assert len({len(one) for one in sounds.values()}) == 1
    middle = slice(2000, -2000)
    error = sounds["noisyvox"][middle] - sounds["reference"][middle]
    assert error.std() < 0.01 * sounds["reference"].std()


def test_what_the_standard_would_have_otherwise_is_said(folders, tmp_path):
    reference, systems = folders
    for folder in (reference, *systems.values()):
        save(folder / "long.wav", np.tile(speech("it_dir-firstlast", 1.0), 13))
        save(folder / "dull.wav", anchor(speech(), RATE, LOW_ANCHOR_HZ))
    chosen = Options(utterances=["long", "dull"], training=1)
    notes = "\n".join(build_mushra(reference, systems, tmp_path / "test", chosen).notes)
    assert "2 utterances for 2 systems: the standard advises 1.5 times" in notes
    assert "long: 13.0 s; the standard advises 12 at most" in notes
    assert "dull: holds next to nothing above 7 kHz" in notes
    assert "long: holds" not in notes
    chosen = Options(utterances=5, training=1)
    notes = "\n".join(build_mushra(reference, systems, tmp_path / "all", chosen).notes)
    assert "training: no utterance is left over" in notes
    assert "the standard advises 1.5" not in notes


def test_nine_systems_fit_into_a_trial_and_ten_do_not(folders, tmp_path):
    reference, systems = folders
    many = {f"s{number}": systems["quietvox"] for number in range(10)}
    with pytest.raises(VocoderError, match="more than the 12 signals"):
        build_mushra(reference, many, tmp_path / "test")
    del many["s9"]
    key = build_mushra(reference, many, tmp_path / "test", Options(utterances=1, training=0))
    assert [len(trial.stimuli) for trial in key.trials.values()] == [12]


def test_what_cannot_be_built_says_why_and_leaves_nothing(folders, tmp_path):
    reference, systems = folders
    output = tmp_path / "test"

    def refused(message: str, error: type[VocoderError] = VocoderError, **options) -> None:
        with pytest.raises(error, match=message):
            build_mushra(reference, systems, output, Options(**options))
        assert not output.exists() or list(output.iterdir()) == []

    refused("--utterances 4: from 1 to 3 can be had", utterances=4)
    refused("--utterances 0", utterances=0)
    refused("holds no utterance 'nobody'", utterances=["nobody"])
    refused("--training -1", training=-1)
    with pytest.raises(VocoderError, match="has a condition of that name"):
        build_mushra(reference, {"anchor_7k": systems["quietvox"]}, output)
    with pytest.raises(VocoderError, match="name at least one"):
        build_mushra(reference, {}, output)
    with pytest.raises(AudioError, match="nowhere: no such folder"):
        build_mushra(reference, {"x": tmp_path / "nowhere"}, output)
    path = save(systems["noisyvox"] / "ru_0806.wav", speech(seconds=1.0))
    refused(
        rf"{path}: its length differs by -0.200 s .*allowed 0.1 s \(--max-length-difference\)",
        AudioError,
        utterances=["ru_0806"],
        max_length_difference_s=0.1,
    )
    refused("max_length_difference: -1 is not", max_length_difference_s=-1.0)
    save(path, np.zeros(len(speech())))
    refused(rf"{path}: silent .* --level none", AudioError, utterances=["ru_0806"])
    path.write_bytes(b"no audio")
    refused(rf"{path}: not an audio file", AudioError, utterances=["ru_0806"])
    (tmp_path / "other").mkdir()
    save(tmp_path / "other" / "else.wav", speech())
    with pytest.raises(VocoderError, match=r"no utterance of .* is in every system's folder"):
        build_mushra(reference, {"x": tmp_path / "other"}, output)


def test_a_full_disk_leaves_neither_page_nor_key(folders, tmp_path, monkeypatch):
    """The disk is full after the key has been written, when the page is forced to the disk."""
    reference, systems = folders
    output = tmp_path / "out"
    sync = files._sync

    def full(path: Path) -> None:
        if (output / "key.json").exists() and path != output:
            raise OSError(28, "No space left on device")
        sync(path)

    monkeypatch.setattr(files, "_sync", full)
    with pytest.raises(OutputError, match=r"out/page: cannot be written \(No space left"):
        build_mushra(reference, systems, output, Options(utterances=1))
    assert list(output.iterdir()) == []


def test_a_test_that_may_have_answers_is_never_overwritten(folders, tmp_path):
    reference, systems = folders
    output = tmp_path / "test"
    build_mushra(reference, systems, output)
    before = (output / "key.json").read_bytes()
    with pytest.raises(VocoderError, match="there is a test already"):
        build_mushra(reference, systems, output)
    assert (output / "key.json").read_bytes() == before


def test_recordings_of_8_khz_have_no_mid_anchor(tmp_path):
    for name in ("recordings", "system"):
        save(tmp_path / name / "a.wav", speech(), 8000)
    with pytest.raises(AudioError, match="8000 Hz is too low"):
        build_mushra(tmp_path / "recordings", {"s": tmp_path / "system"}, tmp_path / "test")
    assert not (tmp_path / "test" / "page").exists()


def test_an_abx_trial_has_the_two_systems_and_no_reference(folders, tmp_path):
    reference, systems = folders
    output = tmp_path / "test"
    key = build_abx(reference, systems, output, Options(utterances=2, level="none"), repeats=5)
    assert (key.kind, key.repeats, len(key.trials)) == ("abx", 5, 2)
    for trial in key.trials.values():
        assert trial.open_reference is None
        for name, stimulus in trial.stimuli.items():
            path = systems[stimulus.condition] / f"{trial.utterance}.wav"
            np.testing.assert_array_equal(sound(output, name), read_audio(path).waveform.numpy())
    page = (output / "page" / "index.html").read_text()
    assert [name for name in (*SYSTEMS, *UTTERANCES) if name in page] == []
    assert description(output)["repeats"] == 5
    assert "There\n      are 10 trials" in page or "There are 10 trials" in page
    one = {"only": systems["quietvox"]}
    with pytest.raises(VocoderError, match="two systems, not 1"):
        build_abx(reference, one, tmp_path / "x")
    with pytest.raises(VocoderError, match="--repeats 0"):
        build_abx(reference, systems, tmp_path / "x", repeats=0)


def test_instructions_of_ones_own_are_shown_as_text(folders, tmp_path):
    reference, systems = folders
    options = Options(instructions="Grade the\nnoise.\n\nIgnore <b>clicks</b>.\n")
    build_mushra(reference, systems, tmp_path / "test", options)
    page = (tmp_path / "test" / "page" / "index.html").read_text()
    assert "<p>Grade the noise.</p>" in page
    assert "<p>Ignore &lt;b&gt;clicks&lt;/b&gt;.</p>" in page
    assert "You will hear" not in page
    for training in (0, 1):
        options = Options(utterances=1, training=training)
        build_mushra(reference, systems, tmp_path / str(training), options)
        page = (tmp_path / str(training) / "page" / "index.html").read_text()
        assert "You will hear" in page
        assert ("First comes training" in page) == bool(training)
