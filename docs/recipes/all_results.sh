#!/bin/sh
# Make the tables of docs/results.md anew, in two lanes of one core each.
#
# usage: all_results.sh [PART …]     (parts in a row; without any, those of the two lanes)
#
# work/ beside this file holds what is not part of the repository:
#   work/data    tiles/, slides/, atlas/, teachers/
#   work/clones  clones of the Pathology Atlas cases in atlas_fields_large.csv, atlas_fields_more.csv
#                and work/data/atlas/cohort.csv
#   work/starts  the timm folders mobilenetv1_100_in1k and efficientnet_lite0 (lite_folder.py)
# Figures and logs go to work/results/PART. A part that has ended is marked by work/results/PART.done,
# which says its CPU time, and is not run again; one that was broken off goes on where it was.
set -eu
cd "$(dirname "$0")"
data=work/data
tiles=$data/tiles
start=$data/teachers/mobilenetv1_100_in1k
fields=work/fields-all
six="glas osteosarcoma oral_400x lc25000_colon lc25000_lung"

fields() {
    for table in atlas_fields_large.csv atlas_fields_more.csv; do
        python atlas_windows.py work/clones $table work/slides --mpp 0.5
    done
    napari-xmag distill prepare work/slides/*.tiff --out $fields --per-slide 400 --min-tissue 0.5 \
        --case '^(.+?)__'
}

agreement() { # the teacher's features, that all distillations share, are made here
    napari-xmag evaluate agreement evaluate_agreement.toml --set fields=$fields \
        --set cache=$fields-cache --out work/results/agreement
}

probes() {
    napari-xmag evaluate probe evaluate_patches.toml --out work/results/probes
    napari-xmag evaluate probe evaluate_patches.toml --set probe.bounded=true \
        --out work/results/probes-bounded
}

require_lite() { # else it is missed after hours
    [ -d work/starts/efficientnet_lite0 ] ||
        { echo "Expected the folder $PWD/work/starts/efficientnet_lite0: lite_folder.py makes it" && return 1; }
}

losses() {
    require_lite || return 1
    sh ablate_distillation.sh $fields work/starts work/students data.training_fields=2560 fit.epochs=2
    for name in both global local both-lite0; do
        student="work/students/$name"
        napari-xmag evaluate agreement evaluate_agreement.toml --set fields=$fields \
            --set cache=$fields-cache --set "encoders.4.student=$student" \
            --out "work/results/losses/$name-agreement"
        napari-xmag evaluate probe evaluate_patches.toml --set "encoders.5.student=$student" \
            --out "work/results/losses/$name-probes"
    done
}

more_fields() {
    sh learning_curve.sh $fields work/starts work/results/curve 10240 "512 1024 2560 5120 10240"
}

lite0() { # another network, for as many steps as that of more_fields, and as the bundled student
    require_lite || return 1
    lite="student.start=local-dir:$PWD/work/starts/efficientnet_lite0"
    out=work/results/lite0
    sh learning_curve.sh $fields work/starts $out/once 10240 10240 "$lite"
    sh learning_curve.sh $fields work/starts $out/long 42400 8480 "$lite"
    for student in work/results/curve/fields-10240 $out/once/fields-10240 $out/long/fields-8480; do
        for bounded in false true; do
            napari-xmag evaluate probe evaluate_patches.toml --set "encoders.3.student=$student" \
                --set "encoders.5.student=$student" --set probe.bounded=$bounded \
                --out "$student-probes/bounded-$bounded"
        done
    done
}

labelled_sources() {
    # shellcheck disable=SC2086  # names of tasks
    python labelled_sources.py evaluate_patches.toml work/results/labelled-sources \
        --tasks $six --epochs 3
}

two_scales() {
    python two_scales.py evaluate_patches.toml work/results/two-scales \
        --encoders "undistilled student at 5x" "distilled student at 5x"
}

shifts() {
    napari-xmag evaluate robustness evaluate_robustness.toml --out work/results/shifts
}

atlas() {
    python atlas_cohort.py work/clones $data/atlas/cohort.csv work/atlas
    napari-xmag evaluate slides evaluate_slides.toml --out work/results/atlas
}

pairs() {
    set -- $data/slides/CMU-1-Small-Region.svs $data/slides/dicom-cmu-1-small-region
    for slide in work/atlas/*.tiff; do
        set -- "$@" "$slide" "$data/atlas/$(basename "$slide")"
    done
    python compare_scans.py "$@"
}

compare() { # OUT, then options: slides composed of fields, several ways of training
    out=$1
    shift
    python compare_training.py "work/results/$out" --glas $tiles/glas --oral $tiles/oral_400x \
        --osteosarcoma $tiles/osteosarcoma_10x --start $start "$@"
}

ways() {
    sizes="--train 16 --validation 8 --test 20"
    glas="--sources glas $sizes --islands 12 14"
    bone="--sources osteosarcoma --same-cases --islands 5 8 --train 24 --validation 8 --test 20"
    oral="--sources oral --train 60 --validation 16 --test 40 --islands 10 14 --malignant 3 5"
    # shellcheck disable=SC2086  # options are words
    {
        for options in "$glas" "$bone"; do
            compare ways $options --seeds 0 --ways rgb start tiles frozen end-to-end
            compare ways $options --seeds 1 2 --ways tiles frozen end-to-end
        done
        compare ways $oral --seeds 0 1 --ways start tiles frozen end-to-end \
            --set end_to_end.head_epochs=4
    }
}

last="--set end_to_end.fit.patience=0" # six validation slides choose epochs badly
with_regions="--ways frozen regions regions-end-to-end $last"
glas_islands="--sources glas --islands 7 9"
bone_islands="--sources osteosarcoma --same-cases --islands 5 8"
oral_islands="--sources oral --islands 7 9 --malignant 2 4"

few="--train 16 --validation 6 --test 12"
many="--train 48 --validation 6 --test 36"
seeds="--seeds 0 1 2"
a_quarter="--regions 0.25 --ways regions regions-end-to-end $last"

on_islands() { # OUT, then options: each source with its islands
    for islands in "$glas_islands" "$bone_islands" "$oral_islands"; do
        # shellcheck disable=SC2086  # options are words
        compare "$@" $islands
    done
}

# shellcheck disable=SC2086  # options are words
regions() {
    on_islands regions $few $seeds $with_regions
    on_islands regions-quarter $few $seeds $a_quarter
}

# shellcheck disable=SC2086  # options are words
regions_48() {
    on_islands regions-48 $many $seeds $with_regions
}

# shellcheck disable=SC2086  # options are words
regions_48_quarter() {
    on_islands regions-48-quarter $many $seeds $a_quarter
}

# shellcheck disable=SC2086  # options are words
regions_undistilled() {
    on_islands regions-undistilled $few --seeds 0 --ways start-regions start-regions-end-to-end \
        $last
}

small_areas() {
    fields="--glas $tiles/glas --oral $tiles/oral_400x --osteosarcoma $tiles/osteosarcoma_10x"
    # shellcheck disable=SC2086  # options are words
    {
        python fine_map.py work/results/ways $fields --same-cases --ways tiles frozen end-to-end
        python fine_map.py work/results/regions-48 $fields --same-cases \
            --ways frozen regions regions-end-to-end
    }
}

clicks() {
    compose="python compose_slides.py --train 8 --validation 0 --test 8 --seed 1"
    islands="--islands 12 16 --malignant 6 8"
    # shellcheck disable=SC2086  # options are words
    {
        $compose $tiles/glas work/glas $islands
        $compose $tiles/oral_400x work/oral --source oral $islands
        $compose $tiles/osteosarcoma_10x work/osteosarcoma --source osteosarcoma --islands 14 16 \
            --malignant 5 6 --non-viable 4 --same-cases
    }
    napari-xmag evaluate teach evaluate_teach.toml --out work/results/clicks
}

tissue() {
    python tissue_report.py $data --assume-mpp 1.0 --sheet work/results/tissue.png
}

speed() {
    require_lite || return 1
    slide=work/data/slides/lung-squamous-cell-carcinoma__HE3.tiff
    napari-xmag evaluate speed evaluate_speed.toml --set "slides=['$slide']" \
        --out work/results/speed
    python encoder_speed.py $start work/starts/efficientnet_lite0
}

damaged() {
    (cd ../.. && python -m tests.fuzz.campaign --count 5000 --seed 7)
}

if [ "${1:-}" = --only ]; then
    "$2"
    times >"work/results/$2.done" # of this shell, then of what it ran: user, system
    exit
fi

bases() { # the parts that another one builds on, if any
    case $1 in
    agreement) echo fields ;;
    losses | more_fields) echo agreement ;;
    lite0) echo more_fields ;;
    pairs) echo atlas ;;
    small_areas) echo ways regions_48 ;;
    esac
}

not_ended() { # the first of these parts that has not ended, if any
    for earlier in "$@"; do
        [ -e "work/results/$earlier.done" ] || { echo "$earlier" && return; }
    done
}

lane() {
    failed=0
    for part in "$@"; do
        [ ! -e "work/results/$part.done" ] || continue
        # shellcheck disable=SC2046  # names of parts
        needed=$(not_ended $(bases "$part"))
        if [ -n "$needed" ]; then
            failed=1
            echo "$part left out: it needs $needed, which has not ended (all_results.sh $needed)" >&2
            continue
        fi
        echo "$(date +%H:%M) $part"
        sh all_results.sh --only "$part" >"work/results/$part.log" 2>&1 ||
            { failed=1 && echo "$part failed: see $PWD/work/results/$part.log" >&2; }
    done
    return $failed
}

first="fields agreement probes losses more_fields regions labelled_sources two_scales"
second="ways regions_48 small_areas atlas pairs shifts clicks damaged tissue speed"
only_named="lite0 regions_48_quarter regions_undistilled" # two lanes of six hours have no room
for part in "$@"; do
    case " $first $second $only_named " in
    *" $part "*) ;;
    *) echo "There is no part $part; the parts are: $first $second $only_named" >&2 && exit 2 ;;
    esac
done
mkdir -p work/results
[ -e work/student ] || ln -s ../../../models/xmag-mobilenet-glas-demo work/student
export OMP_NUM_THREADS=1
if [ $# -gt 0 ]; then
    lane "$@"
    exit
fi
# shellcheck disable=SC2086  # names of parts
{
    lane $first &
    beside=$!
    code=0
    lane $second || code=1
}
wait $beside || code=1
exit $code
