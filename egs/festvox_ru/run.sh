#!/usr/bin/env bash
# One male speaker, 90 minutes, 16 kHz: fetch, train, resynthesise the test files, score them.
# Can be rerun at any time: finished steps are kept, and interrupted training resumes.
# Arguments are passed to the training: egs/festvox_ru/run.sh --set training.steps=1000
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/festvox_ru}"

vocoder prepare festvox_ru --output "$DATA/festvox_ru"

vocoder train recipes/source_filter/festvox_ru.yaml --output "$RUN" \
    --set "data.manifests=[$DATA/festvox_ru/manifest.jsonl]" "$@"

REFERENCE="$DATA/festvox_ru/wavs/test"
vocoder resynth "$REFERENCE" --model "$RUN" --output "$RUN/test/source_filter"
vocoder resynth "$REFERENCE" --model griffin_lim --output "$RUN/test/griffin_lim"
vocoder evaluate --reference "$REFERENCE" \
    --system "source_filter=$RUN/test/source_filter" \
    --system "griffin_lim=$RUN/test/griffin_lim" \
    --output "$RUN/test/scores"
