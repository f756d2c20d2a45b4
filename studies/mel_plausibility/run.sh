#!/usr/bin/env bash
# Which mels cannot be speech in their spec?
#     CORPUS=FOLDER studies/mel_plausibility/run.sh
# Two minutes on one core for 240 recordings; by default the shipped ones. Writes RESULTS.md's tables.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"

python -m studies.mel_plausibility.study --corpus "${CORPUS:-egs/tiny/wavs}" "$@"
