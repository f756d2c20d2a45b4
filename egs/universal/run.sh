#!/usr/bin/env bash
# One set of weights for every voice, mel and sample rate: prepare and train; score.sh scores.
# `data/many_voices` is described in egs/universal/README.md.
# Run it again at any time: what is done is kept, and an interrupted training goes on.
# Two trainings as those of the weights that ship, the second from the first one's weights at a lower
# learning rate; arguments are passed to both: egs/universal/run.sh --set training.threads=1
# WEIGHTS=nano trains the small ones, in one training.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
WEIGHTS="${WEIGHTS:-universal}"
RUN="${RUN:-runs/$WEIGHTS}"

vocoder prepare festvox_ru --output "$DATA/festvox_ru"
vocoder prepare asterisk --output "$DATA/asterisk"

MANIFESTS="$DATA/many_voices/manifest.jsonl,$DATA/festvox_ru/manifest.jsonl,$DATA/asterisk/manifest.jsonl"
if [ "$WEIGHTS" = nano ]; then
    vocoder train recipes/source_filter/nano.yaml --output "$RUN" \
        --set "data.manifests=[$MANIFESTS]" "$@"
    exit
fi
vocoder train recipes/source_filter/universal.yaml --output "$RUN-first" \
    --set "data.manifests=[$MANIFESTS]" "$@"
vocoder train recipes/source_filter/universal.yaml --output "$RUN" \
    --set "data.manifests=[$MANIFESTS]" --set "initialise_from=$RUN-first" \
    --set training.budget_minutes=80 --set training.learning_rate=6e-4 --set training.seed=1 "$@"
