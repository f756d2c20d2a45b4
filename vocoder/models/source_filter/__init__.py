"""The source-filter vocoder: excitation through learned time-varying filters."""

from vocoder.models.source_filter.config import SourceFilterConfig
from vocoder.models.source_filter.model import SourceFilter
from vocoder.models.source_filter.streaming import Stream
from vocoder.models.source_filter.synthesis import Controls

__all__ = ["Controls", "SourceFilter", "SourceFilterConfig", "Stream"]
