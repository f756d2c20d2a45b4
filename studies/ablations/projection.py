"""How often to project: whole passes, passes in the low band, and both at other mels.

    python -m studies.ablations.projection --speech data/many_voices/manifest.jsonl

Speakers that were not trained on, one utterance each, cut to 5 s.
"""

import vocoder
from studies.ablations.speech import (
    METRIC_NAMES,
    copy_with,
    held_out_utterances,
    means,
    study_parser,
)
from vocoder.models.source_filter.model import SourceFilter

OWN_MEL = (
    (1, 0),
    (2, 0),
    (4, 0),
    (8, 0),
    (1, 4),
    (2, 1),
    (2, 2),
    (2, 4),
    (4, 1),
    (4, 2),
    (4, 4),
    (4, 8),
)
"""Whole passes, and cost of those in the low band, at the default mel."""
OTHER_MELS = ("hifigan_22k", "bigvgan_24k", "espnet_24k", "speecht5_16k", "cosyvoice2_24k")


def main() -> None:
    """Print one row per setting."""
    options = study_parser(__doc__).parse_args()
    utterances = held_out_utterances(options)
    print("| mel | passes | low band | " + " | ".join(METRIC_NAMES) + " |")
    settings = [("vocos_24k", *both) for both in OWN_MEL]
    settings += [(mel, 4, cost) for mel in OTHER_MELS for cost in (0, 4)]
    for mel, passes, cost in settings:
        model = vocoder.load(options.weights).for_mel(mel)
        assert isinstance(model, SourceFilter)
        speak = copy_with(model, mel_projection=passes, low_band_projection=cost)
        row = means(utterances, model.sample_rate, speak)
        numbers = " | ".join(f"{row[name]:.4f}" for name in METRIC_NAMES)
        print(f"| {mel} | {passes} | {cost} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
