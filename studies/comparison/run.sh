#!/usr/bin/env bash
# Every vocoder trained from scratch on the same speech, mel and minutes, then compared: curves on
# validation utterances, one table on the test utterances, costs, a listening page.
#     studies/comparison/run.sh [SYSTEM…] [--set KEY=VALUE …]
# Default: all systems. Can be rerun at any time, with any systems and any STAGES: finished steps
# are kept, and interrupted training resumes.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
CORPUS="${CORPUS:-festvox_ru}"
RUN="${RUN:-runs/comparison}"
RESULTS="${RESULTS:-studies/comparison}"
MINUTES="${MINUTES:-30}"
THREADS="${THREADS:-1}"
SEEDS="${SEEDS:-0 1 2}"
STAGES="${STAGES:-train score seeds costs tables report}"

# Tables and costs need no speech.
case " $STAGES " in *" train "* | *" score "* | *" seeds "* | *" report "*)
    vocoder prepare "$CORPUS" --output "$DATA/$CORPUS" ${SOURCE:+--source "$SOURCE"} ;;
esac

python -m studies.comparison.run --corpus "$DATA/$CORPUS" --run "$RUN" --results "$RESULTS" \
    --minutes "$MINUTES" --threads "$THREADS" --seeds "$SEEDS" --stages "$STAGES" "$@"
