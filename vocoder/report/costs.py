"""The cost of the systems, from the output of `vocoder bench --json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vocoder.errors import VocoderError
from vocoder.evaluation.cost import Cost
from vocoder.reading import read_json


@dataclass(frozen=True)
class CostAxis:
    """One measure of a system's cost.

    Attributes:
        field: of `vocoder.evaluation.cost.Cost`.
        label: heading, with the unit.
        scale: divisor of the field.
        decimals: digits after the point in tables.
    """

    field: str
    label: str
    scale: float
    decimals: int

    def value(self, cost: Cost) -> float:
        """The cost in the unit of the label; 0 if absent."""
        return float(getattr(cost, self.field)) / self.scale


COST_AXES = (
    CostAxis("real_time_factor", "real-time factor", 1.0, 4),
    CostAxis("macs_per_second", "million MACs a second", 1e6, 1),
    CostAxis("parameters", "million parameters", 1e6, 2),
)


def read_costs(files: Mapping[str, Path]) -> dict[str, Cost]:
    """The cost of each system on one thread.

    Args:
        files: JSON of `vocoder bench --json` by the system's name.

    Raises:
        VocoderError: a file is missing, is no such JSON, or has no measurement on one thread.
    """
    return {name: _one_thread(path) for name, path in files.items()}


def _one_thread(path: Path) -> Cost:
    again = "`vocoder bench --model MODEL --json` prints it"
    try:
        costs = TypeAdapter(list[Cost]).validate_python(read_json(path, VocoderError)["costs"])
    except VocoderError as error:
        raise VocoderError(f"{error}; {again}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, ("costs", *first["loc"])))
        raise VocoderError(f"{path}: {field}: {first['msg']}; {again}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise VocoderError(f"{path}: no measurement of costs; {again}") from error
    for cost in costs:
        if cost.threads == 1:
            return cost
    raise VocoderError(f"{path}: no measurement on one thread; {again}")
