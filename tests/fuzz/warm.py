"""What the parent of all tries loads once."""

import functools

import torch

from vocoder import loading


def warm_up() -> None:
    """Import what the commands import, remember loaded models, and leave out the pictures."""
    import vocoder.cli.demo
    import vocoder.evaluation.folders
    import vocoder.evaluation.resynthesis
    import vocoder.listening.results as results
    import vocoder.training.run  # noqa: F401

    torch.set_num_threads(1)
    model = loading.load("source_filter_16k")
    model(model.mel(torch.randn(4000)))
    loading.load = functools.cache(loading.load)
    loading.load("source_filter_16k")
    for name in ("draw_boxes", "draw_utterances", "draw_proportions"):
        setattr(results, name, lambda *_: None)
