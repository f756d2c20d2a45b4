#!/usr/bin/env bash
# Eight utterances from the repository: a smoke test of every step in a minute.
# Can be rerun at any time: finished steps are kept, and interrupted training resumes.
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
