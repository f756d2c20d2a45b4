"""All kinds of invalid answer files: they are reported, and the others are used."""

import copy
import json
import re
from typing import Any

import pytest

from tests.listening.material import (
    abx_answers,
    listener,
    listening_test,
    panel,
    write_answers,
)
from vocoder.listening.answers import read_answers


def broken(answers: dict[str, Any], what: str) -> Any:
    """An answer file with one thing wrong."""
    one = copy.deepcopy(answers)
    first = one["trials"][0]
    sound = next(iter(first["scores"]))
    if what == "another test":
        one["test"] = "0123456789ab"
    elif what == "another version":
        one["version"] = 2
    elif what == "another kind":
        one["kind"] = "abx"
    elif what == "no kind":
        del one["kind"]
    elif what == "a trial missing":
        del one["trials"][0]
    elif what == "a trial twice":
        one["trials"].append(first)
    elif what == "an unknown trial":
        first["trial"] = "fedcba987654"
    elif what == "a grade of 101":
        first["scores"][sound] = 101
    elif what == "a grade of -1":
        first["scores"][sound] = -1
    elif what == "a grade that is no number":
        first["scores"][sound] = "good"
    elif what == "a grade missing":
        del first["scores"][sound]
    elif what == "an unknown sound":
        first["scores"]["fedcba987654"] = first["scores"].pop(sound)
    elif what == "an order of others":
        first["order"][0] = first["order"][1]
    elif what == "an extra field":
        one["mood"] = "good"
    elif what == "not finished":
        one["finished"] = None
    elif what == "a list":
        return [one]
    return one


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("another test", r"answers of another test \(mushra 0123456789ab"),
        ("another version", "version: Input should be 1"),
        ("another kind", "abx.trials"),
        ("no kind", "Unable to extract tag"),
        ("a trial missing", r"is answered 0 times instead of 1"),
        ("a trial twice", "is answered 2 times instead of 1"),
        ("an unknown trial", "trial fedcba987654 is not in the key"),
        ("a grade of 101", r"scores.* less than or equal to 100"),
        ("a grade of -1", r"scores.* greater than or equal to 0"),
        ("a grade that is no number", r"scores.* valid number"),
        ("a grade missing", "has no grade"),
        ("an unknown sound", "sound [0-9a-f]{12} (is not in the key|has no grade)"),
        ("an order of others", "does not name each sound once"),
        ("an extra field", "mood: Extra inputs"),
        ("not finished", "finished: Input should be a valid string"),
        ("a list", "no answers of a listening test"),
    ],
)
def test_a_bad_file_is_named_and_the_others_count(key, tmp_path, what, reason):
    good = write_answers(tmp_path, *panel(key)[:3])
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(broken(listener(key, "bad", 7), what)))
    accepted, (refusal,) = read_answers([*good, bad], key)
    assert [one.participant for one in accepted] == ["P00", "P01", "P02"]
    assert refusal.startswith(f"{bad}: ")
    assert re.search(reason, refusal), refusal
    assert "\n" not in refusal


def test_text_cut_off_and_unreadable_files_are_named(key, built, tmp_path):
    (good,) = write_answers(tmp_path, listener(key, "good", 1))
    half = tmp_path / "half.json"
    half.write_text(good.read_text()[:500])
    folder = tmp_path / "folder.json"
    folder.mkdir()
    noise = tmp_path / "noise.json"
    noise.write_bytes(b"\xff\xfe\x00")
    result = listening_test("analyse", good, half, noise, "--key", built / "mushra/key.json",
                            "--output", tmp_path / "out")  # fmt: skip
    assert result.exit_code == 1
    assert "1 assessors, 0 excluded" in result.stdout
    refusals = [line for line in result.stderr.splitlines() if line.startswith("refused: ")]
    assert [line.split(": ")[1] for line in refusals] == [str(half), str(noise)]
    stored = json.loads((tmp_path / "out/summary.json").read_text())
    assert [f"refused: {line}" for line in stored["refused"]] == refusals


def test_a_copy_counts_once_and_two_of_one_name_not_at_all(key, tmp_path):
    files = write_answers(tmp_path, *panel(key)[:4])
    copied = tmp_path / "copy.json"
    copied.write_bytes(files[0].read_bytes())
    other = tmp_path / "other.json"
    other.write_text(json.dumps(listener(key, "P01", 55)))
    accepted, refused = read_answers([tmp_path], key)
    assert [one.participant for one in accepted] == ["P00", "P02", "P03"]
    assert refused[0] == f"{copied}: the same as {files[0]}"
    assert refused[1].startswith(f"{files[1]}: participant P01 also answered in {other}; keep one")
    assert refused[2].startswith(f"{other}: participant P01 also answered in {files[1]}; keep one")
    assert len(refused) == 3


def test_abx_files_are_checked_too(abx_key, tmp_path):
    good = abx_answers(abx_key, "good", lambda: True)
    files = [good]
    for name, change in {
        "x": lambda trial: trial.update(x="fedcba987654"),
        "choice": lambda trial: trial.update(choice="fedcba987654"),
        "pair": lambda trial: trial.update(b=trial["a"], x=trial["a"], choice=trial["a"]),
    }.items():
        one = copy.deepcopy(good)
        one["participant"] = name
        change(one["trials"][0])
        files.append(one)
    few = copy.deepcopy(good)
    few["participant"] = "few"
    del few["trials"][3]
    paths = write_answers(tmp_path, *files, few)
    accepted, refused = read_answers(paths, abx_key)
    assert [one.participant for one in accepted] == ["good"]
    text = "\n".join(refused)
    assert "x is neither A nor B" in text
    assert "choice is neither A nor B" in text
    assert "A and B are not the two sounds of the key" in text
    assert "is answered 3 times instead of 4" in text


def test_without_any_usable_file_nothing_is_written(key, abx_key, built, tmp_path):
    output = tmp_path / "out"
    files = write_answers(tmp_path / "in", abx_answers(abx_key, "P1", lambda: True))
    arguments = ("--key", built / "mushra/key.json", "--output", output)
    cases = {
        "no answers to analyse: ": files,
        "does not exist": [tmp_path / "nobody.json"],
        "no answer file": [built / "mushra" / "page" / "stimuli"],
    }
    for message, paths in cases.items():
        result = listening_test("analyse", *paths, *arguments)
        assert result.exit_code == 1
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    result = listening_test("analyse", *files, "--key", files[0], "--output", output)
    assert "no key of a listening test" in result.stderr
    result = listening_test("analyse", *files, "--key", tmp_path / "no.json", "--output", output)
    assert "no.json: cannot be read" in result.stderr
    assert not output.exists()
