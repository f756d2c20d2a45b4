"""The base class of every configuration: typed, frozen, hashable; it rejects unknown keys."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen, validated set of named values; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
