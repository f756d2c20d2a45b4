#!/usr/bin/env bash
# Eight utterances of the repository itself: every step in a minute. A check, not a vocoder.
# Run it again at any time: what is done is kept, and an interrupted training goes on.
# Arguments are passed to the training: egs/tiny/run.sh --set training.steps=1000
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
RUN="${RUN:-runs/tiny}"

vocoder train recipes/source_filter/tiny.yaml --output "$RUN" "$@"

REFERENCE="egs/tiny/wavs/test"
vocoder resynth "$REFERENCE" --model "$RUN" --output "$RUN/test/source_filter"
vocoder evaluate --reference "$REFERENCE" \
    --system "source_filter=$RUN/test/source_filter" \
    --output "$RUN/test/scores"
