#!/usr/bin/env bash
# LibriTTS, 24 kHz, from a local copy; the test speakers are unseen.
# Can be rerun at any time: finished steps are kept, and interrupted training resumes.
# Arguments are passed to the training: egs/libritts/run.sh --set training.steps=1000
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/libritts}"
SOURCE="${SOURCE:?the absolute path of your copy of LibriTTS (holds train-clean-100/ …)}"
SUBSETS="${SUBSETS:-valid/dev-clean valid/dev-other test/test-clean test/test-other}"

vocoder prepare libritts --source "$SOURCE" --output "$DATA/libritts"

vocoder train recipes/source_filter/libritts.yaml --output "$RUN" \
    --set "data.manifests=[$DATA/libritts/manifest.jsonl]" "$@"

for SUBSET in $SUBSETS; do
    REFERENCE="$DATA/libritts/wavs/$SUBSET"
    vocoder resynth "$REFERENCE" --model "$RUN" --output "$RUN/$SUBSET/source_filter"
    vocoder evaluate --reference "$REFERENCE" \
        --system "source_filter=$RUN/$SUBSET/source_filter" \
        --output "$RUN/$SUBSET/scores"
done
