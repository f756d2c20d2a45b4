#!/usr/bin/env bash
# Universal weights on recordings of strangers, from ten mels, beside Griffin-Lim from the same mels.
# MODEL=universal scores the weights that ship; REFERENCE is a folder of recordings.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/universal}"
MODEL="${MODEL:-$RUN}"
REFERENCE="${REFERENCE:-$DATA/many_voices/libritts/test}"

SYSTEMS=()
for MEL in vocos_24k bigvgan_24k espnet_24k cosyvoice2_24k hifigan_22k bigvgan_22k_11k espnet_22k \
    coqui_22k r9y9_22k speecht5_16k; do
    OURS="$RUN/test/$MEL-universal"
    THEIRS="$RUN/test/$MEL-griffin_lim"
    vocoder resynth "$REFERENCE" --model "$MODEL" --mel "$MEL" --output "$OURS"
    vocoder resynth "$REFERENCE" --model griffin_lim --mel "$MEL" --output "$THEIRS"
    SYSTEMS+=(--system "$MEL-universal=$OURS" --system "$MEL-griffin_lim=$THEIRS")
done

vocoder evaluate --reference "$REFERENCE" "${SYSTEMS[@]}" --sample-rate 16000 \
    --metrics pesq,mstft,voicing_error,f0_fine_rmse_cents,distillmos --output "$RUN/test/scores" "$@"
