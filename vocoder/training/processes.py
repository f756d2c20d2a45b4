"""Training on several processes of one machine.

torchrun, MPI and `accelerate launch` on GPUs give each process its rank by environment variables,
which accelerate reads. This module adds the support missing in `accelerate launch --cpu`.
"""

import argparse
import os
import sys

from vocoder.errors import TrainingError

STARTED_BY = ("LOCAL_RANK", "WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Variables set by torchrun or MPI for their processes."""

RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
"""Variables with the rank of a process, in accelerate's order."""


def is_main_process() -> bool:
    """Whether this process is the only one or has rank 0."""
    return next((os.environ[name] for name in RANKS if name in os.environ), "0") == "0"


def start_processes() -> None:
    """Start the processes requested by ``accelerate launch --cpu --num_processes N``.

    On CPUs without MPI, accelerate (1.15) starts a single process: it sets MASTER_ADDR, but no
    WORLD_SIZE, and does not pass N on. N is therefore read from the launcher's command line, and
    this process is replaced by ``torchrun --nproc-per-node N`` with the same arguments. Does
    nothing in all other cases.

    Raises:
        TrainingError: several processes are requested, but their number is unknown (it may come
            from accelerate's configuration), or they are on several machines.
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
    """Numbers of processes and machines from the command line of the parent process."""
    import psutil  # a dependency of accelerate

    try:
        command = psutil.Process(os.getppid()).cmdline()
    except psutil.Error:
        command = []
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--num_processes", "--num-processes", type=int)
    parser.add_argument("--num_machines", "--num-machines", type=int, default=1)
    return parser.parse_known_args(command)[0]
