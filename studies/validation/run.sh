#!/usr/bin/env bash
# Do the metrics measure what they claim? Known degradations of real recordings, every metric, and
# a verdict on every claim. Needs `ffmpeg` and the extra `evaluate`; no training.
# Can be rerun at any time: existing files and scores are kept.
# Arguments are passed to the scoring: studies/validation/run.sh --tier cheap --jobs 1
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/validation}"
RESULTS="${RESULTS:-studies/validation/RESULTS.md}"

vocoder prepare festvox_ru --output "$DATA/festvox_ru"
vocoder prepare asterisk --output "$DATA/asterisk"

python -m studies.validation.ladders --output "$RUN/audio" \
    --manifest "$DATA/festvox_ru/manifest.jsonl" \
    --manifest "$DATA/asterisk/manifest.jsonl"
python -m studies.validation.score --audio "$RUN/audio" --output "$RUN/scores" "$@"
python -m studies.validation.tables --audio "$RUN/audio" --scores "$RUN/scores" --output "$RESULTS"
