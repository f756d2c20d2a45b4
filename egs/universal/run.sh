#!/usr/bin/env bash
# One set of weights for every voice, mel and sample rate: prepare and train; score.sh scores.
# `data/many_voices` is described in egs/universal/README.md.
# Run it again at any time: what is done is kept, and an interrupted training goes on.
# Arguments are passed to the training: egs/universal/run.sh --set training.budget_minutes=600
# README.md has those of the second training of the weights that ship, and of nano.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/universal}"

vocoder prepare festvox_ru --output "$DATA/festvox_ru"
vocoder prepare asterisk --output "$DATA/asterisk"

MANIFESTS="$DATA/many_voices/manifest.jsonl,$DATA/festvox_ru/manifest.jsonl,$DATA/asterisk/manifest.jsonl"
vocoder train recipes/source_filter/universal.yaml --output "$RUN" \
    --set "data.manifests=[$MANIFESTS]" "$@"
