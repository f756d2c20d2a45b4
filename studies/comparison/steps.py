"""Time of a training step, for the rule that sets the sizes of the budget's recipes.

python -m studies.comparison.steps [SYSTEM …] [--set KEY=VALUE …]

prints parameters and seconds per step on one thread, the best CPU time of several.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from studies.comparison.operations import trainer_on_noise
from studies.comparison.systems import all_systems, choose
from studies.scripts import run
from vocoder.training.recipe import load_recipe
from vocoder.training.run import make_accelerator
from vocoder.training.schedule import Clock

STEPS = 5


def main() -> None:
    """Measure and print one line per system."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("systems", nargs="*", help="all, if none is named")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    options = parser.parse_args()
    names = [system.name for system in choose(options.systems, all_systems())]
    # One process each, since the precision of a process cannot change.
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        for line in pool.map(time_steps, names, [options.overrides] * len(names)):
            print(line, flush=True)


def time_steps(name: str, overrides: list[str]) -> str:
    """The line of one system, in the precision of its recipe."""
    torch.set_num_threads(1)
    systems = all_systems()
    system = systems[name]
    recipe = load_recipe(system.path, overrides)
    teacher = None if system.teacher is None else systems[system.teacher].recipe
    with TemporaryDirectory() as folder:
        trainer = trainer_on_noise(recipe, teacher, Path(folder), make_accelerator(recipe))
        trainer.train_step()
        clock, times = Clock(trainer.accelerator.device), []
        for _ in range(STEPS):
            clock.start()
            trainer.train_step()
            times.append(clock.seconds())
    size = trainer.model.parameters_count / 1e6
    return f"{name:18} {size:6.2f} M parameters  {min(times):.2f} s a step"


if __name__ == "__main__":
    run(main)
