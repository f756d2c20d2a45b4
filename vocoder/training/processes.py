"""Training on several processes of one machine."""

import os
import re
import sys
from pathlib import Path

from vocoder.errors import TrainingError

STARTED_BY = ("LOCAL_RANK", "WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Variables that torchrun or an MPI sets for the processes that it starts."""


def is_main_process() -> bool:
    """Whether this process is the only one or the first that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def start_processes() -> None:
    """Become the processes that ``accelerate launch --cpu --num_processes N`` was asked for.

    On CPUs that launcher leaves the starting to an MPI; without one it starts a single process and
    does not say so. torch's launcher then takes the place of this process, with the same command.
    Returns at once where there is nothing to start.

    Raises:
        TrainingError: several processes were asked for, but how many cannot be told.
    """
    several = "MASTER_ADDR" in os.environ and not any(name in os.environ for name in STARTED_BY)
    if not several or os.environ.get("ACCELERATE_USE_CPU", "").lower() not in ("1", "true"):
        return
    launcher = Path(f"/proc/{os.getppid()}/cmdline")
    command = launcher.read_text() if launcher.exists() else ""
    count = re.search(r"\0--num[_-]processes[=\0](\d+)\0", command)
    machines = re.search(r"\0--num[_-]machines[=\0](\d+)\0", command)
    if count is None or (machines is not None and machines[1] != "1"):
        raise TrainingError(
            "accelerate starts no more than one process on CPUs without MPI: "
            "use torchrun --nproc-per-node N -m vocoder train …"
        )
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", count[1]]
    os.execv(sys.executable, [sys.executable, *torchrun, "-m", "vocoder", *sys.argv[1:]])
