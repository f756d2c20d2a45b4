"""What a short latency costs: universal and causal networks, without and with passes.

    python -m studies.ablations.latency --speech data/many_voices/manifest.jsonl --every 2

Speakers that were not trained on, one utterance each, cut to 5 s, from Vocos's mel, the low band
not projected. The latency is that of a stream, in samples: between a sample and the last mel frame
that it depends on, without the mel's own window.
"""

import vocoder
from studies.ablations.speech import (
    METRIC_NAMES,
    copy_with,
    held_out_utterances,
    means,
    study_parser,
)
from vocoder.export.files import export_module
from vocoder.export.module import StreamModule
from vocoder.models.source_filter import SourceFilter

ROWS = (
    ("universal", 4),
    ("universal", 1),
    ("low_latency", 2),
    ("low_latency", 1),
    ("low_latency", 0),
)
"""Weights, and passes of the mel projection."""


def main() -> None:
    """Print one row per setting."""
    parser = study_parser(__doc__)
    parser.add_argument("--low-latency", default="low_latency", help="a checkpoint in their place")
    options = parser.parse_args()
    utterances = held_out_utterances(options)
    print("| weights | passes | latency (ms) | " + " | ".join(METRIC_NAMES) + " |")
    for name, passes in ROWS:
        model = vocoder.load(options.low_latency if name == "low_latency" else name)
        assert isinstance(model, SourceFilter)
        stream = export_module(model, True, mel_projection=passes)
        assert isinstance(stream, StreamModule)
        latency_ms = 1000 * stream.delay_samples / model.sample_rate
        speak = copy_with(model, mel_projection=passes, low_band_projection=0)
        row = means(utterances, model.sample_rate, speak)
        numbers = " | ".join(f"{row[metric]:.3f}" for metric in METRIC_NAMES)
        print(f"| {name} | {passes} | {latency_ms:.0f} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
