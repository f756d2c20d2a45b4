#!/usr/bin/env bash
# 108 speakers, 24 kHz, from a local copy of VCTK 0.92; the test speakers are unseen.
# Can be rerun at any time: finished steps are kept, and interrupted training resumes.
# Arguments are passed to the training: egs/vctk/run.sh --set training.steps=1000
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/vctk}"
SOURCE="${SOURCE:?the absolute path of your copy of VCTK 0.92 (holds wav48_silence_trimmed/)}"

vocoder prepare vctk --source "$SOURCE" --output "$DATA/vctk"

vocoder train recipes/source_filter/vctk.yaml --output "$RUN" \
    --set "data.manifests=[$DATA/vctk/manifest.jsonl]" "$@"

REFERENCE="$DATA/vctk/wavs/test"
vocoder resynth "$REFERENCE" --model "$RUN" --output "$RUN/test/source_filter"
vocoder evaluate --reference "$REFERENCE" \
    --system "source_filter=$RUN/test/source_filter" \
    --output "$RUN/test/scores"
