"""Training on several processes of one machine.

torchrun, MPI and `accelerate launch` on GPUs tell each process its place by environment variables,
which accelerate reads. This module adds what `accelerate launch --cpu` leaves out.
"""

import argparse
import os
import sys

from vocoder.errors import TrainingError

STARTED_BY = ("LOCAL_RANK", "WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Variables that torchrun or an MPI sets for the processes that it starts."""

RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Variables with the number of a process, in the order in which accelerate reads them."""


def is_main_process() -> bool:
    """Whether this process is the only one or the first that a launcher started."""
    return next((os.environ[name] for name in RANKS if name in os.environ), "0") == "0"


def start_processes() -> None:
    """Start the processes that ``accelerate launch --cpu --num_processes N`` was asked for.

    On CPUs without an MPI, accelerate (1.15) starts a single process: it sets MASTER_ADDR, but no
    WORLD_SIZE, and passes N to nobody. N is therefore read from the launcher's command line, and
    this process is replaced by ``torchrun --nproc-per-node N`` with the same arguments. Returns at
    once in every other case.

    Raises:
        TrainingError: several processes were asked for, but their number is unknown (it may come
            from accelerate's configuration), or they belong to several machines.
    """
    several = "MASTER_ADDR" in os.environ and not any(name in os.environ for name in STARTED_BY)
    if not several or os.environ.get("ACCELERATE_USE_CPU", "").lower() not in ("1", "true"):
        return
    launch = _launcher_options()
    if launch.num_processes is None or launch.num_machines != 1:
        raise TrainingError(
            "accelerate starts no more than one process on CPUs without MPI: "
            "use torchrun --nproc-per-node N -m vocoder train …"
        )
    count = str(launch.num_processes)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", count]
    os.execv(sys.executable, [sys.executable, *torchrun, "-m", "vocoder", *sys.argv[1:]])


def _launcher_options() -> argparse.Namespace:
    """Numbers of processes and machines on the command line of the parent process."""
    import psutil  # a dependency of accelerate

    try:
        command = psutil.Process(os.getppid()).cmdline()
    except psutil.Error:
        command = []
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--num_processes", "--num-processes", type=int)
    parser.add_argument("--num_machines", "--num-machines", type=int, default=1)
    return parser.parse_known_args(command)[0]
