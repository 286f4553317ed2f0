#!/bin/sh
# Distil the same student with and without each of the two losses, and two of other sizes.
#
# usage: ablate_distillation.sh FIELDS STARTS OUT [SETTING …]
#
# FIELDS: made by `napari-xmag distill prepare`. STARTS: folder with the timm folders
# mobilenetv1_100_in1k (teacher and start), efficientnet_lite0 and efficientnet_lite2 (other starts,
# made by lite_folder.py; without one, its arm is left out). A SETTING is such as fit.epochs=2. The
# teacher's features lie in FIELDS-cache, as for learning_curve.sh. An arm that has ended is left
# alone, and one that was broken off goes on; one of other fields or settings is refused.
set -eu
# In a setting, a relative folder would be one beside the recipe.
recipe=$(cd "$(dirname "$0")" && pwd)/distill_demo.toml
mkdir -p "$3"
fields=$(cd "$1" && pwd)
starts=$(cd "$2" && pwd)
out=$(cd "$3" && pwd)
shift 3

arm() {
    name=$1
    shift
    echo "== $name"
    napari-xmag distill run "$recipe" --resume --set data.fields="$fields" \
        --set data.cache="$fields-cache" --set teacher.name="local-dir:$starts/mobilenetv1_100_in1k" \
        --set loss.local_weight=0.5 --set run.out="$out/$name" "$@"
}

same="--set student.start=local-dir:$starts/mobilenetv1_100_in1k"
settings=""
for setting in "$@"; do settings="$settings --set $setting"; done
# shellcheck disable=SC2086  # settings are words
{
    arm both $same $settings
    arm global $same --set loss.local_weight=0 $settings
    arm local $same --set loss.global_weight=0 $settings
    for size in 0 2; do
        start="$starts/efficientnet_lite$size"
        [ ! -d "$start" ] || arm "both-lite$size" --set student.start="local-dir:$start" $settings
    done
}
