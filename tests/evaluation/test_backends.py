"""A real local Dask cluster gives the same table, and unusable clusters are reported."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from vocoder.data.audio import read_audio, write_audio
from vocoder.errors import VocoderError
from vocoder.evaluation import backends
from vocoder.evaluation.backends import check_backend, run_unordered
from vocoder.evaluation.cache import ScoreCache
from vocoder.evaluation.folders import evaluate_folders

pytestmark = pytest.mark.slow

RATE = 16000
METRICS = ("pesq", "mstft", "f0_rmse_cents", "voicing_error", "own_peak")
# A metric of the user's own reaches the workers too.
PLUGIN = """
from vocoder.evaluation.metric import Metric

def peak(reference, estimate, sample_rate):
    return float(estimate.abs().max())

METRICS = {"own_peak": Metric("peak", peak, None, "higher", 3, "the largest magnitude")}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two worker processes of one thread each."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        local_directory=str(tmp_path_factory.mktemp("dask")),
    ) as found:
        yield found


@pytest.fixture
def systems(tmp_path: Path, tiny_corpus: Path) -> tuple[Path, dict[str, Path]]:
    for name in ("it_dir-firstlast", "ru_followme_sorry"):
        waveform = read_audio(tiny_corpus / "wavs" / "test" / f"{name}.wav").waveform
        write_audio(tmp_path / "recordings" / f"{name}.wav", waveform, RATE)
        write_audio(tmp_path / "coarse" / f"{name}.wav", (waveform * 64).round() / 64, RATE)
        write_audio(tmp_path / "smooth" / f"{name}.wav", waveform.roll(1) + waveform.roll(-1), RATE)
    write_audio(tmp_path / "smooth" / "surplus.wav", waveform, RATE)
    return tmp_path / "recordings", {name: tmp_path / name for name in ("coarse", "smooth")}


def test_two_workers_give_the_table_of_one_process(cluster, systems, tmp_path):
    plugin = tmp_path / "own.py"
    plugin.write_text(PLUGIN)
    common = {"metrics": METRICS, "plugins": [f"{plugin}:METRICS"], "progress": False}
    evaluate_folders(*systems, tmp_path / "one", jobs=1, **common)
    evaluate_folders(
        *systems, tmp_path / "two", backend="dask", scheduler=cluster.scheduler_address, **common
    )
    for name in ("utterances.csv", "summary.json"):
        assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()
    assert (tmp_path / "one" / "utterances.csv").read_text().count("\n") == 6


def _pid(number: int) -> int:
    return os.getpid()


def test_the_work_is_done_by_the_workers_and_remembered(cluster, systems, tmp_path):
    address = cluster.scheduler_address
    pids = set(run_unordered(_pid, [(n,) for n in range(20)], backend="dask", scheduler=address))
    assert os.getpid() not in pids
    assert len(pids) == 2
    cache = ScoreCache(tmp_path / "cache")
    dask = {"backend": "dask", "scheduler": address, "progress": False, "cache": cache}
    first = evaluate_folders(*systems, tmp_path / "first", ("mstft",), **dask)
    assert len(list(cache.folder.rglob("*.json"))) == 4
    again = evaluate_folders(*systems, tmp_path / "again", ("mstft",), jobs=1, cache=cache)
    assert again == first


def test_a_worker_process_that_dies_is_a_clear_error():
    with pytest.raises(VocoderError, match=r"a worker process died: .* goes on where it was"):
        list(run_unordered(os._exit, [(3,)] * 4, jobs=2))


def test_a_worker_of_a_cluster_that_dies_is_a_clear_error(cluster):
    cluster.scheduler.allowed_failures = 0
    address = cluster.scheduler_address
    with pytest.raises(VocoderError, match=r"workers of the cluster died: .* goes on where it was"):
        list(run_unordered(os._exit, [(3,)] * 4, backend="dask", scheduler=address))


def _in_process(folder: Path, threads: int = 1, workers: int = 1) -> LocalCluster:
    """A cluster within this very process: quick to start."""
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        processes=False,
        dashboard_address=":0",
        local_directory=str(folder),
    )


def dask(cluster: LocalCluster) -> list[int]:
    tasks = [(n,) for n in range(3)]
    address = cluster.scheduler_address
    return list(run_unordered(_pid, tasks, backend="dask", scheduler=address, packages=["pesq"]))


def test_workers_with_threads_or_without_any_are_refused(tmp_path):
    with (
        _in_process(tmp_path, threads=2) as cluster,
        pytest.raises(VocoderError, match=r"has 2 threads.*--nthreads 1"),
    ):
        dask(cluster)
    with (
        _in_process(tmp_path, workers=0) as cluster,
        pytest.raises(VocoderError, match="has no workers"),
    ):
        dask(cluster)


def test_workers_with_other_versions_are_refused(monkeypatch, tmp_path):
    calls = []

    def environment(packages, plugins):
        calls.append(packages)
        return {"pesq": "0.0.4", "torch": "2" if len(calls) == 1 else "3"}

    with _in_process(tmp_path) as cluster:
        assert dask(cluster) == [os.getpid()] * 3
        monkeypatch.setattr(backends, "_environment", environment)
        with pytest.raises(VocoderError, match=r"has torch 3, and here it is 2"):
            dask(cluster)


def test_no_scheduler_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(backends, "_CONNECT_S", 0.5)
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with pytest.raises(VocoderError, match=f"{address}: no Dask scheduler answers"):
            list(run_unordered(_pid, [(1,)], backend="dask", scheduler=address))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cloud", None, 2), "no backend 'cloud'; there are: loky, dask"),
        (("loky", "tcp://x:1", 2), "is for --backend dask"),
        (("dask", None, 2), "needs --scheduler"),
        (("loky", None, 0), "0 worker processes"),
    ],
)
def test_settings_that_do_not_go_together(arguments, said):
    with pytest.raises(VocoderError, match=said):
        check_backend(*arguments)


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(VocoderError, match=r"vocoder\[dask\]"):
        check_backend("dask", "tcp://x:1", 2)
