#!/bin/sh
# Distil the same student from more and more fields, in the same number of steps, and measure what
# each holds of the teacher on cases that are held out.
#
# usage: learning_curve.sh FIELDS STARTS OUT VIEWS "NUMBER …" [SETTING …]
#
# FIELDS: made by `napari-xmag distill prepare`. STARTS: folder with the timm folder
# mobilenetv1_100_in1k (teacher and start). Each student sees VIEWS views, a multiple of every NUMBER
# of fields; numbers are multiples of the batch of 32. A SETTING is such as run.seed=1. Writes
# OUT/fields-NUMBER and OUT/agreement/results.md; the teacher's features lie in FIELDS-cache, for
# all. Whatever was broken off goes on when the same command is given again, and what has ended is
# left alone; a student of other fields, views or settings is refused.
set -eu
# In a setting, a relative folder would be one beside the recipe.
recipe=$(cd "$(dirname "$0")" && pwd)/distill_demo.toml
mkdir -p "$3"
fields=$(cd "$1" && pwd)
teacher=$(cd "$2" && pwd)/mobilenetv1_100_in1k
out=$(cd "$3" && pwd)
views=$4 numbers=$5
shift 5
settings=""
for setting in "$@"; do settings="$settings --set $setting"; done

for number in $numbers; do
    echo "== $number fields"
    # The agreement is measured once, at the end.
    # shellcheck disable=SC2086  # settings are words
    napari-xmag distill run "$recipe" --resume --set data.fields="$fields" \
        --set data.cache="$fields-cache" --set teacher.name="local-dir:$teacher" \
        --set student.start="local-dir:$teacher" --set data.training_fields="$number" \
        --set fit.epochs=$((views / number)) --set data.validation_fields=64 \
        --set data.agreement_fields=0 --set run.out="$out/fields-$number" $settings
done

{
    echo "fields = '$fields'"
    echo "cache = '$fields-cache'"
    grep '^validation = ' "$recipe"
    printf "[teacher]\nname = 'local-dir:%s'\n" "$teacher"
    sed -n '/^\[teacher\]/,/^$/p' "$recipe" | grep -E '^(feature|licence) = '
    printf "[[encoders]]\nname = 'not distilled'\nstudent = '%s'\n" "$teacher"
    echo "mpp = 2.0"
    echo "tile_px = 256"
    echo "layers = 3"
    for number in $numbers; do
        printf "[[encoders]]\nname = '%s fields'\nstudent = '%s/fields-%s'\n" \
            "$number" "$out" "$number"
    done
} > "$out/agreement.toml"
napari-xmag evaluate agreement "$out/agreement.toml" --out "$out/agreement"
