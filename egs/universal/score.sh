#!/usr/bin/env bash
# Universal weights on recordings of strangers, from ten mels, beside Griffin-Lim from the same mels.
# MODEL=universal scores the weights that ship, SYSTEM=nano MODEL=nano the small ones; REFERENCE is a
# folder of recordings. MELS="vocos_24k hifigan_22k" scores some of the mels, BESIDE= without
# Griffin-Lim. Then `python -m studies.conventions --add $RUN/test/scores` renews the tables.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/universal}"
MODEL="${MODEL:-$RUN}"
REFERENCE="${REFERENCE:-$DATA/many_voices/libritts/test}"

SYSTEM="${SYSTEM:-universal}"
MELS="${MELS:-vocos_24k bigvgan_24k espnet_24k cosyvoice2_24k hifigan_22k bigvgan_22k_11k espnet_22k \
    coqui_22k r9y9_22k speecht5_16k}"
BESIDE="${BESIDE-griffin_lim}"

SYSTEMS=()
for MEL in $MELS; do
    for NAME in $SYSTEM $BESIDE; do
        USED="$NAME"
        [ "$NAME" = "$SYSTEM" ] && USED="$MODEL"
        MADE="$RUN/test/$MEL-$NAME"
        vocoder resynth "$REFERENCE" --model "$USED" --mel "$MEL" --output "$MADE"
        SYSTEMS+=(--system "$MEL-$NAME=$MADE")
    done
done

vocoder evaluate --reference "$REFERENCE" "${SYSTEMS[@]}" --sample-rate 16000 \
    --metrics pesq,mstft,voicing_error,f0_fine_rmse_cents,distillmos --output "$RUN/test/scores" "$@"
