"""Whole listening tests, taken in a real browser from disk and analysed by the command line."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from typer.testing import CliRunner

from tests.listening.material import SYSTEMS, UTTERANCES, make_folders
from vocoder.cli import app
from vocoder.listening import page as page_module
from vocoder.listening.build import Options, build_abx, build_mushra
from vocoder.listening.key import Key, read_key

pytest_plugins = ["tests.browser"]

# Timeout for a busy machine.
expect.set_options(timeout=20_000)

GRADES = {
    "reference": 100, "anchor_3k5": 20, "anchor_7k": 60, "quietvox": 80, "noisyvox": 43,
}  # fmt: skip


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MUSHRA and an ABX test with two trials each, where a tenth of a second is enough."""
    folder = tmp_path_factory.mktemp("pages")
    reference, systems = make_folders(folder, seconds=0.8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "MUST_HEAR_S", 0.1)
        build_mushra(reference, systems, folder / "mushra", Options(utterances=2, seed=1))
        build_abx(reference, systems, folder / "abx", Options(utterances=1, seed=1), repeats=3)
    return folder


def begin(page: Page, test: Path, participant: str, query: str = "") -> Key:
    """Open the page of a test and come to its training."""
    page.goto((test / "page" / "index.html").as_uri() + query)
    page.fill("#participant", participant)
    page.check("input[value=headphones]")
    page.check("input[name=experienced][value=yes]")
    page.click("#about button.primary")
    expect(page.locator("#trial")).to_be_visible()
    return read_key(test / "key.json")


def hear(page: Page, key: str) -> None:
    """Press a key that plays a sound, and wait until it has been played long enough."""
    page.keyboard.press(key)
    expect(page.locator(".stimulus.active.heard.playing")).to_have_count(1)


def condition(page: Page, key: Key, place: int) -> str:
    """The condition of a number, from the key."""
    name = page.locator(".stimulus").nth(place).get_attribute("data-name")
    trials = [*key.trials.values(), *key.training.values()]
    (found,) = [trial.stimuli[name].condition for trial in trials if name in trial.stimuli]
    return found


def grade_all(page: Page, key: Key) -> None:
    hear(page, "r")
    for place in range(1, 6):
        hear(page, str(place))
        page.locator(".stimulus.active input").fill(str(GRADES[condition(page, key, place)]))
    expect(page.locator("#missing")).to_have_text("")


def download(page: Page, folder: Path) -> Path:
    with page.expect_download() as caught:
        page.click("#download")
    path = folder / caught.value.suggested_filename
    caught.value.save_as(path)
    return path


def analyse(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["listening-test", "analyse", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_a_whole_mushra_test_with_a_reload_in_the_middle(page, pages, tmp_path):
    key = begin(page, pages / "mushra", "P07", "?seed=11")
    shown = page.content()
    assert [name for name in (*SYSTEMS, *UTTERANCES, "anchor_") if name in shown] == []
    expect(page.locator("#progress-text")).to_have_text("Training 1 of 1")
    expect(page.locator("#training-note")).to_be_visible()

    # The next trial is blocked until all sounds are played and graded.
    missing = page.locator("#missing")
    expect(missing).to_have_text("Still to hear: reference, 1–5. Still to grade: 1–5.")
    page.click("#next", force=True)
    page.keyboard.press("Enter")
    expect(missing).to_have_class("urgent")
    expect(page.locator("#progress-text")).to_have_text("Training 1 of 1")
    hear(page, "2")
    expect(missing).to_have_text("Still to hear: reference, 1, 3–5. Still to grade: 1–5.")
    # Only the slider of the playing sound can be moved: with the mouse, and with keys.
    assert page.locator(".stimulus input:enabled").count() == 1
    slider = page.locator(".stimulus.active input")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 0.3 * box["height"])
    value = int(slider.input_value())
    assert 60 < value < 80
    for pressed, change in (("ArrowUp", 1), ("PageUp", 10), ("ArrowDown", -1), ("PageDown", -10)):
        page.keyboard.press(pressed)
        value += change
        expect(page.locator(".stimulus.active output")).to_have_text(str(value))
    page.keyboard.press("End")
    expect(page.locator(".stimulus.active output")).to_have_text("100")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".stimulus.active button")).to_have_text("3")
    expect(page.locator(".stimulus").nth(2).locator("output")).to_have_text("100")
    grade_all(page, key)
    page.click("#next")
    page.click("#go-on")

    # The first trial that counts; then half of the second, and a reload.
    expect(page.locator("#progress-text")).to_have_text("Trial 1 of 2")
    expect(page.locator("#training-note")).to_be_hidden()
    grade_all(page, key)
    page.keyboard.press("Enter")
    expect(page.locator("#progress-text")).to_have_text("Trial 2 of 2")
    hear(page, "1")
    page.keyboard.press("Home")
    page.locator(".stimulus.active input").fill("37")
    before = [one.get_attribute("data-name") for one in page.locator(".stimulus").all()]
    page.reload()
    expect(page.locator("#resume")).to_contain_text(
        "Welcome back, P07. You had come to trial 2 of 2"
    )
    page.click("#continue")
    expect(page.locator("#progress-text")).to_have_text("Trial 2 of 2")
    assert [one.get_attribute("data-name") for one in page.locator(".stimulus").all()] == before
    expect(page.locator(".stimulus").nth(1).locator("output")).to_have_text("37")
    expect(page.locator("#missing")).to_have_text(
        "Still to hear: reference, 2–5. Still to grade: 2–5."
    )
    grade_all(page, key)
    page.click("#next")

    # The answers, also after another reload.
    expect(page.locator("#finished")).to_be_visible()
    page.reload()
    expect(page.locator("#finished")).to_be_visible()
    page.fill("#comment", "The room was <quiet>.")
    file = download(page, tmp_path)
    assert file.name == f"mushra-{key.test}-P07.json"
    answers = json.loads(file.read_text())
    assert (answers["seed"], answers["comment"]) == (11, "The room was <quiet>.")
    assert [len(trial["scores"]) for trial in answers["trials"]] == [5, 5]
    assert answers["trials"][1]["order"] == before[1:]
    assert all(trial["seconds"] > 0.5 for trial in answers["trials"])
    assert all(min(trial["plays"].values()) >= 1 for trial in answers["trials"][:1])

    code, table, refusals = analyse(
        file, "--key", pages / "mushra/key.json", "--output", tmp_path / "out"
    )
    assert (code, refusals) == (0, "")
    for name, expected in GRADES.items():
        assert f"| {name} | 2 | {expected:.1f} |" in table
    with (tmp_path / "out/grades.csv").open() as rows:
        assert len(rows.readlines()) == 1 + 2 * 5

    page.click("#another")
    expect(page.locator("#about")).to_be_visible()
    assert page.input_value("#participant") == ""


def test_a_whole_abx_test_with_a_reload_in_the_middle(page, pages, tmp_path):
    key = begin(page, pages / "abx", "ears.1", "?seed=3")
    shown = page.content()
    assert [name for name in (*SYSTEMS, *UTTERANCES) if name in shown] == []

    def answer(trial: int) -> None:
        """Compare X with A sample by sample."""
        if trial:
            expect(page.locator("#progress-text")).to_have_text(f"Trial {trial} of 3")
        expect(page.locator("#missing")).to_have_text(
            "Still to hear: A, X, B. Still to answer: A or B?"
        )
        for pressed in "axb":
            hear(page, pressed)
        is_a = page.evaluate(
            """() => {
              const [a, x] = ["a", "x"].map((role) => session.player.sounds.get(role));
              return a.every((value, i) => value === x[i]);
            }"""
        )
        if trial == 2:
            page.get_by_label("X is A" if is_a else "X is B").check()
        else:
            page.keyboard.press("ArrowLeft" if is_a else "ArrowRight")
        expect(page.locator("#missing")).to_have_text("")

    answer(0)
    page.click("#next")
    page.click("#go-on")
    answer(1)
    page.click("#next")
    expect(page.locator("#progress-text")).to_have_text("Trial 2 of 3")
    hear(page, "x")
    page.reload()
    page.click("#continue")
    expect(page.locator("#missing")).to_have_text("Still to hear: A, B. Still to answer: A or B?")
    page.reload()
    page.evaluate("() => { session.state.scratch = {}; session.save(); }")
    page.reload()
    page.click("#continue")
    answer(2)
    page.keyboard.press("Enter")
    answer(3)
    page.click("#next")
    file = download(page, tmp_path)
    assert file.name == f"abx-{key.test}-ears.1.json"
    code, table, refusals = analyse(
        file, "--key", pages / "abx/key.json", "--output", tmp_path / "out", "--json"
    )
    assert (code, refusals) == (0, "")
    pooled = json.loads(table)["pooled"]
    assert (pooled["trials"], pooled["correct"]) == (3, 3)
    assert pooled["p_value"] == 0.125


def test_a_seed_in_the_address_gives_the_same_order_again(page, pages):
    orders = []
    for participant, query in (("one", "?seed=5"), ("two", "?seed=5"), ("three", "?seed=6")):
        begin(page, pages / "mushra", participant, query)
        orders.append(page.evaluate("() => session.order().map((trial) => trial.order)"))
        page.evaluate("() => session.reset()")
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_starting_anew_forgets_the_draft(page, pages):
    begin(page, pages / "mushra", "first")
    page.reload()
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.click("#discard")
    expect(page.locator("#resume")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#discard")
    expect(page.locator("#about")).to_be_visible()
    expect(page.locator("#resume")).to_be_hidden()
    page.reload()
    expect(page.locator("#resume")).to_be_hidden()


def test_the_form_wants_a_code_that_can_name_a_file(page, pages):
    page.goto((pages / "abx/page/index.html").as_uri())
    page.check("input[value=loudspeakers]")
    page.check("input[name=experienced][value=no]")
    for text in ("", "../x", "a b"):
        page.fill("#participant", text)
        page.click("#about button.primary")
        expect(page.locator("#welcome")).to_be_visible()
    page.click("#sample")
    expect(page.locator("#sample")).to_have_text("Stop")
    page.click("#sample")
    expect(page.locator("#sample")).to_have_text("Play a sound")


def test_the_loop_is_set_by_dragging_by_buttons_and_by_keys(page, pages):
    begin(page, pages / "mushra", "P1")
    box = page.locator("#waveform").bounding_box()
    y = box["y"] + box["height"] / 2

    def x(part: float) -> float:
        return box["x"] + part * box["width"]

    def region() -> list[float]:
        return page.evaluate("() => [session.player.start, session.player.end]")

    page.mouse.move(x(0.1), y)
    page.mouse.down()
    page.mouse.move(x(0.5), y, steps=4)
    page.mouse.move(x(0.9), y, steps=4)
    page.mouse.up()
    assert region() == pytest.approx([0.08, 0.72], abs=0.01)
    page.keyboard.press("w")
    assert region() == pytest.approx([0, 0.8])
    page.mouse.click(x(0.25), y)
    assert page.evaluate("() => session.player.position") == pytest.approx(0.2, abs=0.01)
    page.click("#loop-start")
    assert region() == pytest.approx([0.2, 0.8], abs=0.01)
    page.mouse.click(x(0.95), y)
    page.keyboard.press("]")
    assert region() == pytest.approx([0.2, 0.76], abs=0.01)
    page.click("#loop-all")
    assert region() == pytest.approx([0, 0.8])
    page.click("#loop")
    expect(page.locator("#loop")).to_have_attribute("aria-pressed", "false")
    position = page.evaluate("() => session.player.position")
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_have_text("Play")  # it has come to its end
    heard = page.evaluate("() => session.player.heardSeconds(session.trial.reference)")
    assert heard == pytest.approx(0.8 - position, abs=1e-6)


def test_a_missing_sound_is_said_and_the_draft_stays(page, page_problems, pages, tmp_path):
    import shutil

    copied = tmp_path / "copy"
    shutil.copytree(pages / "abx", copied)
    for sound in (copied / "page" / "stimuli").iterdir():
        sound.unlink()
    page.goto((copied / "page" / "index.html").as_uri())
    page.fill("#participant", "P1")
    page.check("input[value=headphones]")
    page.check("input[name=experienced][value=yes]")
    page.click("#about button.primary")
    expect(page.locator("#problem")).to_contain_text(
        re.compile(r"stimuli/[0-9a-f]{12}\.js cannot be loaded\. Your answers so far are kept")
    )
    assert page_problems
    assert all("ERR_FILE_NOT_FOUND" in problem for problem in page_problems)
    page_problems.clear()
    page.reload()
    expect(page.locator("#resume-name")).to_have_text("P1")


@pytest.mark.parametrize("kind", ["mushra", "abx"])
def test_a_phone_in_the_dark_has_nothing_beside_the_screen(browser: Browser, pages, kind):
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True, is_mobile=True
    )
    page = context.new_page()

    def width() -> int:
        return page.evaluate("() => document.documentElement.scrollWidth")

    page.goto((pages / kind / "page/index.html").as_uri())
    assert width() == 390
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground))) < 60
    begin(page, pages / kind, "P1")
    assert width() == 390
    page.locator(".stimulus button, button.stimulus").nth(1).tap()
    expect(page.locator(".stimulus.active.playing")).to_have_count(1)
    boxes = page.evaluate(
        """() => [...document.querySelectorAll("#trial button, #trial input")]
          .map((control) => control.getBoundingClientRect().toJSON())
          .filter((box) => box.width > 0)"""
    )
    assert len(boxes) >= 10
    for box in boxes:
        assert box["left"] >= 0
        assert box["right"] <= 390
        assert box["height"] >= 18
    context.close()
