"""Versions that affect a score: those declared by metrics, and those that read audio."""

import dataclasses
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import vocoder
from vocoder.evaluation import cache as cache_module
from vocoder.evaluation import versions
from vocoder.evaluation.cache import ScoreCache, metric_fingerprint
from vocoder.evaluation.registry import METRICS, resolve_columns
from vocoder.evaluation.versions import READING, package_version, package_versions


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    """Versions that differ from those really installed, by name."""
    other: dict[str, str] = {}
    monkeypatch.setattr(versions, "version", lambda name: other.get(name) or version(name))
    package_version.cache_clear()
    yield other
    package_version.cache_clear()


def test_versions_are_those_installed_and_what_is_absent_is_said():
    found = package_versions(["pesq", "no-such-package"])
    assert found["vocoder"] == vocoder.__version__
    assert found["pesq"] == version("pesq")
    assert found["no-such-package"] == "absent"
    assert set(found) == {"vocoder", "pesq", "no-such-package", *READING}
    assert set(package_versions()) == {"vocoder", *READING}


def test_every_declared_package_is_one_that_pip_knows():
    declared = {name for metric in METRICS.values() for name in metric.packages}
    assert {"pesq", "praat-parselmouth", "librosa", "torchcrepe"} <= declared
    missing = []
    for name in {*declared, *READING}:
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    assert missing == []


def test_the_fingerprint_follows_the_version_and_the_packages_of_the_metric(installed):
    (pesq,) = resolve_columns(["pesq"])
    before = metric_fingerprint(pesq)
    assert f"pesq={version('pesq')}" in before
    raised = dataclasses.replace(pesq, metric=dataclasses.replace(pesq.metric, version=7))
    assert metric_fingerprint(raised) != before
    package_version.cache_clear()
    installed["librosa"] = "99"
    assert metric_fingerprint(pesq) == before
    package_version.cache_clear()
    installed["pesq"] = "99"
    assert metric_fingerprint(pesq) != before


def test_columns_of_one_measurement_have_fingerprints_of_their_own():
    columns = resolve_columns(["stoi", "estoi"])
    assert len({metric_fingerprint(column) for column in columns}) == 2


@pytest.mark.parametrize("what", ["torch", "vocoder", "alignment"])
def test_what_every_score_depends_on_gives_other_entries(tmp_path, monkeypatch, installed, what):
    paths: list[Path] = []
    for name in ("a.wav", "b.wav"):
        paths.append(tmp_path / name)
        paths[-1].write_bytes(name.encode())
    store = ScoreCache(tmp_path / "cache")
    before = store.key(*paths, (1.0,))
    assert store.key(*paths, (1.0,)) == before
    package_version.cache_clear()
    if what == "torch":
        installed["torch"] = "99"
    elif what == "vocoder":
        monkeypatch.setattr(vocoder, "__version__", "99")
    else:
        monkeypatch.setattr(cache_module, "ALIGNMENT_VERSION", 99)
    assert store.key(*paths, (1.0,)) != before
