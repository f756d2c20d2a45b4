"""Run tasks in processes of this machine, or on the workers of a Dask cluster."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeVar, get_args

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from vocoder.errors import VocoderError
from vocoder.evaluation.plugins import source_digest
from vocoder.evaluation.versions import ABSENT, package_versions
from vocoder.extras import require_packages

Backend = Literal["loky", "dask"]

MOST_JOBS = 1024
_CONNECT_S = 10
_CAUSES = (
    "too little memory, or a crash in the C code of a metric. Run the same command again: with "
    "the score cache it goes on where it was"
)
_T = TypeVar("_T")


def check_backend(backend: str, scheduler: str | None, jobs: int) -> None:
    """Raise a VocoderError for incompatible settings."""
    if backend not in get_args(Backend):
        raise VocoderError(f"no backend {backend!r}; there are: {', '.join(get_args(Backend))}")
    if jobs == 0:
        raise VocoderError("jobs: 0 worker processes cannot work; use 1 or more, or -1 for all")
    if jobs > MOST_JOBS:
        raise VocoderError(f"jobs: {jobs} worker processes are more than {MOST_JOBS}; use fewer")
    if backend == "loky" and scheduler is not None:
        raise VocoderError(f"--scheduler {scheduler} is for --backend dask; name that one too")
    if backend == "dask":
        require_packages("--backend dask", ("dask", "distributed"), extra="dask")
        if scheduler is None:
            raise VocoderError(
                "--backend dask needs --scheduler tcp://HOST:PORT, as `dask scheduler` prints it"
            )


def run_unordered(
    function: Callable[..., _T],
    tasks: Sequence[tuple[Any, ...]],
    jobs: int = 2,
    backend: Backend = "loky",
    scheduler: str | None = None,
    packages: Sequence[str] = (),
    plugins: Sequence[str] = (),
) -> Iterator[_T]:
    """Yield `function(*task)` for every task, in the order in which they finish.

    Args:
        function: defined at a module's top level, so that it can be pickled.
        tasks: argument tuples; they are copied.
        jobs: processes of this machine, -1 for one per core; 1 works in this process. Within a
            `joblib.parallel_config` of another backend, "loky" uses that backend.
        backend: "loky", through joblib, or "dask", on all workers of a cluster.
        scheduler: address of the Dask scheduler.
        packages: distributions that every cluster worker must have in the locally installed
            version, besides those that read and align files.
        plugins: the user's metrics, see `vocoder.evaluation.plugins.load_metrics`; their files
            must have the same content on every worker.

    Raises:
        VocoderError: the scheduler does not answer, the cluster has no workers, its workers have
            several threads or other versions, or a worker process died.
    """
    check_backend(backend, scheduler, jobs)
    if backend == "dask":
        yield from _on_cluster(function, tasks, str(scheduler), packages, plugins)
        return
    # One task per batch, so that each result arrives as soon as it exists.
    parallel = Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")
    try:
        yield from parallel(delayed(function)(*task) for task in tasks)
    except TerminatedWorkerError as error:
        raise VocoderError(
            f"a worker process died: {_CAUSES}; with --jobs 1 and one of the --metrics at a time "
            "you see which it is"
        ) from error


def _on_cluster(
    function: Callable[..., _T],
    tasks: Sequence[tuple[Any, ...]],
    scheduler: str,
    packages: Sequence[str],
    plugins: Sequence[str],
) -> Iterator[_T]:
    """As `run_unordered`, using Dask directly: joblib's Dask backend waits forever for a task whose
    worker died.
    """
    from distributed import KilledWorker, as_completed

    with _connected(scheduler) as client:
        _check_workers(client, packages, plugins)
        # Not pure: the files may have changed since the same arguments were scored.
        futures = client.map(function, *zip(*tasks, strict=True), pure=False)
        finished = as_completed(futures, loop=client.loop)
        try:
            for future in finished:
                yield future.result()
        except KilledWorker as error:
            raise VocoderError(f"workers of the cluster died: {_CAUSES}") from error


@contextlib.contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    """A client of the cluster, closed at the end; the cluster keeps running."""
    from distributed import Client

    try:
        client = Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise VocoderError(
            f"{scheduler}: no Dask scheduler answers there ({error}); start one by `dask "
            "scheduler` and workers by `dask worker ADDRESS --nthreads 1`"
        ) from error
    with client:
        yield client


def _check_workers(client: Any, packages: Sequence[str], plugins: Sequence[str]) -> None:
    """Raise a VocoderError if the cluster's scores could differ from those of this process."""
    threads = client.nthreads()
    if not threads:
        raise VocoderError(
            "the Dask cluster has no workers; start some by `dask worker ADDRESS --nthreads 1`"
        )
    if several := [worker for worker, count in sorted(threads.items()) if count > 1]:
        raise VocoderError(
            f"the Dask worker {several[0]} has {threads[several[0]]} threads: C code of the "
            "metrics keeps its state in global variables; start the workers with --nthreads 1"
        )
    here = _environment(packages, plugins)
    try:
        found = client.run(_environment, packages, plugins)
    except ImportError as error:
        raise VocoderError(
            f"a Dask worker lacks a module ({error}): install this package and its extras, in the "
            "same versions, where the workers run"
        ) from error
    for worker, there in sorted(found.items()):
        differing = sorted(name for name in here if here[name] != there.get(name))
        if differing:
            name = differing[0]
            raise VocoderError(
                f"the Dask worker {worker} has {name} {there.get(name, ABSENT)}, and here it is "
                f"{here[name]}: the scores would not compare; install the same in both places"
            )


def _environment(packages: Sequence[str], plugins: Sequence[str]) -> dict[str, str]:
    """Versions of the packages that affect scores, and digests of user-defined metrics."""
    return package_versions(packages) | {spec: source_digest(spec) for spec in plugins}
