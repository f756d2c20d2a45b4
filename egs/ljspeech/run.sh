#!/usr/bin/env bash
# One female speaker, 24 hours, 22.05 kHz, from a local copy of LJSpeech 1.1.
# Can be rerun at any time: finished steps are kept, and interrupted training resumes.
# Arguments are passed to the training: egs/ljspeech/run.sh --set training.steps=1000
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/ljspeech}"
SOURCE="${SOURCE:?the absolute path of your copy of LJSpeech-1.1 (holds wavs/)}"

vocoder prepare ljspeech --source "$SOURCE" --output "$DATA/ljspeech"

vocoder train recipes/source_filter/ljspeech.yaml --output "$RUN" \
    --set "data.manifests=[$DATA/ljspeech/manifest.jsonl]" "$@"

REFERENCE="$DATA/ljspeech/wavs/test"
vocoder resynth "$REFERENCE" --model "$RUN" --output "$RUN/test/source_filter"
vocoder evaluate --reference "$REFERENCE" \
    --system "source_filter=$RUN/test/source_filter" \
    --output "$RUN/test/scores"
