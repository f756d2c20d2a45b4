#!/usr/bin/env bash
# All that is measured of weights that ship, after they changed, and the tables that show it: published pages,
# LibriTTS from ten mels, other sets, hard inputs, targets.
#     SOURCE=PAGES SPEECH=MANIFEST egs/universal/measure.sh universal      # or nano
# SOURCE is the audio of studies/published (PAGE/SYSTEM/UTTERANCE.flac), SPEECH the manifest that has the held-out
# speakers; DATA and REFERENCE as in score.sh. Two hours of one core. STAGES="conventions tables" makes some of it.
set -euo pipefail
NAME="${1:?the weights: universal or nano}"
SOURCE="$(realpath "${SOURCE:?folder of the published audio}")"
SPEECH="$(realpath "${SPEECH:?manifest of the held-out speakers}")"
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
DATA="${DATA:-data}"
RUN="${RUN:-runs/measured/$NAME}"
STAGES=" ${STAGES:-published conventions other_sets hard_inputs tables} "
mkdir -p "$RUN"

if [[ $STAGES == *" published "* ]]; then
    SOURCE="$SOURCE" MADE="$RUN/published" STAGES=measure studies/published/run.sh --weights "$NAME"
fi
if [[ $STAGES == *" conventions "* ]]; then
    MODEL="$NAME" SYSTEM="$NAME" BESIDE= RUN="$RUN" egs/universal/score.sh
    cp egs/universal/utterances.csv "$RUN/before.csv"
    python -m studies.conventions --add "$RUN/test/scores" --before "$RUN/before.csv"
fi
if [[ $STAGES == *" other_sets "* ]] && [ "$NAME" = universal ]; then
    for SET in festvox_ru asterisk_it asterisk_ru; do
        RUN="$RUN/$SET" DATA="$DATA" egs/universal/other_sets.sh "$SET"
    done
    RUN="$RUN/fargan_ptdb" RECORDINGS="$SOURCE/fargan_ptdb/recording" egs/universal/other_sets.sh fargan_ptdb
fi
if [[ $STAGES == *" hard_inputs "* ]]; then
    python -m studies.ablations.hard_inputs --speech "$SPEECH" --every 4
fi
if [[ $STAGES == *" tables "* ]]; then
    SOURCE="$SOURCE" MADE="$RUN/published" STAGES=tables studies/published/run.sh
    python -m studies.targets
fi
