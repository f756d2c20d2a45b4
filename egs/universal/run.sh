#!/usr/bin/env bash
# One set of weights for every voice, mel and sample rate: prepare, train, and score on strangers at
# every mel convention, beside Griffin-Lim from the same mels.
# Run it again at any time: what is done is kept, and an interrupted training goes on.
# Arguments are passed to the training: egs/universal/run.sh --set training.budget_minutes=60
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/universal}"
MODEL="${MODEL:-$RUN}"
REFERENCE="${REFERENCE:-$DATA/many_voices/libritts/test}"
MELS="${MELS:-vocos_24k bigvgan_24k espnet_24k cosyvoice2_24k hifigan_22k bigvgan_22k_11k espnet_22k coqui_22k r9y9_22k speecht5_16k}"
METRICS="${METRICS:-pesq,mstft,voicing_error,f0_fine_rmse_cents,distillmos}"
STAGES="${STAGES:-prepare train score}"

for STAGE in $STAGES; do
    case "$STAGE" in
    prepare)
        vocoder prepare festvox_ru --output "$DATA/festvox_ru"
        vocoder prepare asterisk --output "$DATA/asterisk"
        if [ ! -f "$DATA/many_voices/manifest.jsonl" ]; then
            echo "$DATA/many_voices/manifest.jsonl: missing; see egs/universal/README.md" >&2
            exit 1
        fi
        ;;
    train)
        MANIFESTS="$DATA/many_voices/manifest.jsonl,$DATA/festvox_ru/manifest.jsonl,$DATA/asterisk/manifest.jsonl"
        vocoder train recipes/source_filter/universal.yaml --output "$RUN" \
            --set "data.manifests=[$MANIFESTS]" "$@"
        ;;
    score)
        SYSTEMS=()
        for MEL in $MELS; do
            for SYSTEM in universal griffin_lim; do
                OUTPUT="$RUN/test/$MEL-$SYSTEM"
                [ "$SYSTEM" = universal ] && SPEAKER="$MODEL" || SPEAKER=griffin_lim
                if [ ! -d "$OUTPUT" ]; then
                    vocoder resynth "$REFERENCE" --model "$SPEAKER" --mel "$MEL" --output "$OUTPUT.part"
                    mv "$OUTPUT.part" "$OUTPUT"
                fi
                SYSTEMS+=(--system "$MEL-$SYSTEM=$OUTPUT")
            done
        done
        vocoder evaluate --reference "$REFERENCE" "${SYSTEMS[@]}" --sample-rate 16000 \
            --metrics "$METRICS" --output "$RUN/test/scores"
        ;;
    *)
        echo "no stage $STAGE; there are: prepare train score" >&2
        exit 1
        ;;
    esac
done
