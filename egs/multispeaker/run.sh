#!/usr/bin/env bash
# Three speakers, four languages, 16 kHz: corpora and model of the weights source_filter_16k. Scored on the seen
# speaker of festvox_ru and on two unseen speakers (it, ru).
# Can be rerun at any time: finished steps are kept, and interrupted training resumes.
# Arguments are passed to the training: egs/multispeaker/run.sh --set training.steps=1000
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/multispeaker}"

vocoder prepare festvox_ru --output "$DATA/festvox_ru"
vocoder prepare asterisk --output "$DATA/asterisk"

vocoder train recipes/source_filter/multispeaker.yaml --output "$RUN" \
    --set "data.manifests=[$DATA/festvox_ru/manifest.jsonl,$DATA/asterisk/manifest.jsonl]" "$@"

METRICS=pesq,mstft,mel_distance,f0_rmse_cents,f0_fine_rmse_cents,gross_pitch_error,voicing_error

for SET in festvox_ru/wavs/test asterisk/wavs/test/it asterisk/wavs/test/ru; do
    REFERENCE="$DATA/$SET"
    OUTPUT="$RUN/$SET"
    vocoder resynth "$REFERENCE" --model "$RUN" --output "$OUTPUT/source_filter"
    vocoder resynth "$REFERENCE" --model griffin_lim --output "$OUTPUT/griffin_lim"
    vocoder evaluate --reference "$REFERENCE" \
        --system "source_filter=$OUTPUT/source_filter" \
        --system "griffin_lim=$OUTPUT/griffin_lim" \
        --metrics "$METRICS" --to-7k --output "$OUTPUT/scores"
done

# DNSMOS has no reference, so the recordings are scored too. Needs the extra `evaluate`.
REFERENCE="$DATA/festvox_ru/wavs/test"
OUTPUT="$RUN/festvox_ru/wavs/test"
vocoder evaluate --reference "$REFERENCE" \
    --system "recording=$REFERENCE" \
    --system "source_filter=$OUTPUT/source_filter" \
    --system "griffin_lim=$OUTPUT/griffin_lim" \
    --metrics dnsmos,dnsmos_p808 --output "$OUTPUT/dnsmos"
