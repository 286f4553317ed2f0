#!/bin/sh
# Malignant or not on the slides of the Pathology Atlas: the head alone against end to end.
#
# usage: atlas_training.sh COHORT ENCODER OUT [SEED …]
#
# COHORT: a table of labelled slides with patients. Five folds by patient for each seed; the slides
# of a patient are judged by models that knew none of them. OUT/<mode>-<seed>/metrics.json has the
# figures; what is there already is left alone, what was broken off goes on.
set -eu
cohort=$1 encoder=$2 out=$3
shift 3
mkdir -p "$out"
for seed in "${@:-0}"; do
    for mode in head end-to-end; do
        napari-xmag train "$cohort" --encoder "$encoder" --out "$out/$mode-$seed" --mode "$mode" \
            --folds 5 --cache "$out/cache" --resume --set seed="$seed" \
            --set tiles_per_epoch=16 --set end_to_end.fit.epochs=2
    done
done
