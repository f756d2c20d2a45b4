#!/usr/bin/env bash
# Our weights, Griffin-Lim and WORLD beside the vocoders that their authors trained, on 13 pages that
# the authors published. Rerun it for new weights, which add a column.
#     studies/published/run.sh [PAGE…] [--trial NAME=FOLDER …]
# SOURCE=FOLDER takes the audio from PAGE/SYSTEM/UTTERANCE.flac; without it, git fetches it.
set -euo pipefail
[ -z "${SOURCE:-}" ] || SOURCE="$(realpath "$SOURCE")"
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
MADE="${MADE:-runs/published}"
STAGES="${STAGES:-fetch measure tables page}"
JOBS="${JOBS:-2}"

if [ -n "${SOURCE:-}" ]; then
    set -- --source "$SOURCE" "$@"
else
    set -- --source data/published --download "$@"
fi
python -m studies.published.run --made "$MADE" --stages "$STAGES" --jobs "$JOBS" "$@"
