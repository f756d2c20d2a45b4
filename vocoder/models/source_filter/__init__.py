"""The source-filter vocoder: excitation through learned time-varying filters."""

from vocoder.models.source_filter.model import Controls, SourceFilter, SourceFilterConfig

__all__ = ["Controls", "SourceFilter", "SourceFilterConfig"]
