"""The base of every typed configuration: frozen, hashable, and strict about unknown keys."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen, validated set of named values; an unknown field is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")
