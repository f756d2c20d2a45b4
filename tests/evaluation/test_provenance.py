"""What a remembered score depends on: source, and packages, wherever they are imported."""

import functools
import importlib.metadata
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vocoder.evaluation import provenance as module
from vocoder.evaluation.alignment import align
from vocoder.evaluation.provenance import package_versions, provenance
from vocoder.evaluation.registry import METRICS


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Sources change within these tests, as they do not within a run."""
    remembering = [f for f in vars(module).values() if hasattr(f, "cache_clear")]
    for function in remembering:
        function.cache_clear()
    yield
    for function in remembering:
        function.cache_clear()


def own_metric(folder: Path, text: str, name: str = "own_metric") -> Callable[..., float]:
    """A function `measure` of a user's file, loaded from there."""
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded.measure


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def versions(function: Callable[..., object]) -> dict[str, str]:
    return dict(provenance(function).versions)


def test_packages_behind_a_metric_are_found_through_this_package():
    assert versions(METRICS["pesq"].measure)["pesq"] == importlib.metadata.version("pesq")
    # Praat is imported inside a function of another module, under another name than its package.
    assert "pesq" not in versions(METRICS["f0_rmse_cents"].measure)
    praat = importlib.metadata.version("praat-parselmouth")
    assert versions(METRICS["f0_rmse_cents"].measure)["parselmouth"] == praat
    assert {"soundfile", "soxr"} <= versions(align).keys()


def test_every_metric_has_a_known_provenance():
    for name, metric in METRICS.items():
        found = provenance(metric.measure)
        assert found.versions, name
        assert "unknown" not in dict(found.versions).values(), name
        assert sys.stdlib_module_names.isdisjoint(dict(found.versions)), name
    assert len({provenance(METRICS[name].measure) for name in ("pesq", "mstft", "stoi")}) == 3


def test_looking_for_packages_does_not_load_them():
    # librosa and numba, which take a second to load, lie behind "from speechmos import dnsmos".
    code = (
        "import sys\n"
        "from vocoder.evaluation.provenance import provenance\n"
        "from vocoder.metrics.dnsmos import dnsmos\n"
        "assert 'speechmos' in dict(provenance(dnsmos).versions)\n"
        "sys.exit(str([name for name in ('speechmos', 'librosa') if name in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stderr == "[]\n"


def test_another_version_of_a_package_is_another_provenance(monkeypatch):
    before = provenance(METRICS["pesq"].measure)
    real = module.version
    monkeypatch.setattr(module, "version", lambda name: "9.9" if name == "pesq" else real(name))
    module._version.cache_clear()
    module._provenance.cache_clear()
    provenance.cache_clear()
    after = provenance(METRICS["pesq"].measure)
    assert after.digest == before.digest
    assert dict(after.versions) == {**dict(before.versions), "pesq": "9.9"}
    assert after.text != before.text


def test_a_users_code_and_what_lies_beside_it_count(folder):
    (folder / "beside.py").write_text("FACTOR = 2\n")
    text = "from beside import FACTOR\nimport numpy\ndef measure(a, b, rate): return FACTOR\n"
    first = provenance(own_metric(folder, text))
    assert list(dict(first.versions)) == ["numpy"]

    def again() -> str:
        for function in (provenance, module._provenance, module._module_source):
            function.cache_clear()
        return provenance(own_metric(folder, text)).digest

    assert again() == first.digest
    (folder / "beside.py").write_text("FACTOR = 3\n")
    assert again() != first.digest
    (folder / "beside.py").write_text("FACTOR = 2\n")
    assert again() == first.digest
    text += "# changed\n"
    assert again() != first.digest


def test_modules_that_import_each_other_come_to_an_end(folder):
    (folder / "there.py").write_text("import own_metric\n")
    text = "def measure(a, b, rate):\n    import there\n    return 0.0\n"
    assert provenance(own_metric(folder, text)).versions == ()


def test_partials_wrappers_and_objects_are_what_they_wrap(folder):
    text = (
        "def measure(a, b, rate, factor=1): return factor\n"
        "class Measure:\n    def __call__(self, a, b, rate): return 0.0\n"
        "measure.Measure = Measure\n"
    )
    measure = own_metric(folder, text)

    @functools.wraps(measure)
    def wrapped(*arguments: object) -> float:
        return measure(*arguments)

    alike = (functools.partial(measure, factor=2), wrapped, measure.Measure())
    assert {provenance(function) for function in alike} == {provenance(measure)}


def test_absent_packages_are_said_and_left_out_of_the_summary(folder):
    text = "def measure(a, b, rate):\n    import no_such_package\n    return 0.0\n"
    measure = own_metric(folder, text)
    assert versions(measure) == {"no_such_package": "absent"}
    assert "no_such_package" not in package_versions([measure])
    assert package_versions([align])["vocoder"]
