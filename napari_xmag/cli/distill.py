"""`napari-xmag distill`: sample fields of slides, and distil a student from them."""

import argparse
import logging
from pathlib import Path
from typing import Any

from napari_xmag.cli.settings import add_config, mpp_option


def add_parser(subparsers: Any) -> None:
    """Add the command and its steps."""
    parser = subparsers.add_parser(
        "distill",
        help="distil a 5x student from a 20x teacher",
        description="Distil a 5x student from a 20x teacher (docs/distill.md).",
    )
    parser.set_defaults(run=run)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    _add_prepare(steps)
    _add_run(steps)
    steps.add_parser("teachers", help="list the known teachers, and what their licences allow")


def run(args: argparse.Namespace) -> int:
    """Run the step that was asked for; return the exit code."""
    if args.step == "teachers":
        return _teachers()
    return _prepare(args) if args.step == "prepare" else _run(args)


def _add_prepare(steps: Any) -> None:
    parser = steps.add_parser(
        "prepare",
        help="sample tissue fields of slides and large images",
        description="Sample tissue fields at an exact pixel size into tar shards (webdataset "
        "layout) with an index. After an interruption, run it again: finished slides are kept.",
    )
    parser.add_argument(
        "places",
        nargs="+",
        type=Path,
        metavar="SLIDE|FOLDER|TABLE",
        help="slides; folders of large images; tables tile[,mpp][,case] of such images "
        "(CSV or .xlsx)",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder for the fields"
    )
    parser.add_argument(
        "--tiles-mpp",
        type=mpp_option,
        metavar="MPP",
        help="µm per pixel of the images (never guessed)",
    )
    parser.add_argument(
        "--case",
        metavar="REGEX",
        help="regular expression that finds the case in a name (its first group, or the whole "
        "match); the fields of a case are held out together; default: each slide and each "
        "subfolder of images is a case",
    )
    _add_sampling(parser)
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed of the sampling (default: 0)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="number of processes on this machine (default: 1)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="dask scheduler of a cluster whose workers see the same paths (tcp://host:8786)",
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--per-slide",
        type=int,
        default=200,
        help="largest number of fields per slide (default: 200)",
    )
    parser.add_argument(
        "--field-px",
        type=int,
        default=1024,
        help="side of a field: 1024 for tiles of 256 px, 896 for 224 px (default: 1024)",
    )
    parser.add_argument(
        "--field-mpp",
        type=mpp_option,
        default=0.5,
        help="µm per pixel of a field (default: 0.5, which is 20x)",
    )
    parser.add_argument(
        "--stride",
        type=float,
        default=1.0,
        help="step between candidate fields, as a multiple of the field side (default: 1)",
    )
    parser.add_argument(
        "--min-tissue",
        type=float,
        default=0.6,
        help="minimum fraction of tissue in a field (default: 0.6)",
    )


def _add_run(steps: Any) -> None:
    parser = steps.add_parser(
        "run",
        help="distil a student",
        description="Distil a student as configured in a TOML file (docs/distill.md explains each "
        "value).",
    )
    add_config(parser, "fit.epochs=3")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="continue an interrupted run after its last epoch"
    )
    again.add_argument(
        "--restart", action="store_true", help="start over even if there is a checkpoint"
    )


def _prepare(args: argparse.Namespace) -> int:
    from napari_xmag.cli.progress import show
    from napari_xmag.config import checked
    from napari_xmag.distill.prepare import PrepareConfig, Prepared, SlidePrepared, prepare

    given = vars(args) | {"mpp": args.field_mpp}
    names = PrepareConfig.model_fields.keys() & given.keys()
    config = checked(
        PrepareConfig,
        {name: given[name] for name in names},
        hint="Correct these options: napari-xmag distill prepare --help.",
    )
    failed = 0
    events = prepare(
        args.places,
        args.out,
        config,
        tiles_mpp=args.tiles_mpp,
        workers=args.workers,
        scheduler=args.scheduler,
    )
    for event in show(events):
        if isinstance(event, SlidePrepared):
            left_out = ", ".join(f"{n} {reason}" for reason, n in event.rejected.items())
            words = event.error or f"{event.fields} fields" + (left_out and f" (not: {left_out})")
            print(f"{event.slide}: {words}", flush=True)
        if isinstance(event, Prepared):
            failed = len(event.failed)
            print(f"{event.fields} fields in {event.folder}; {failed} failed")
    return 1 if failed else 0


def _run(args: argparse.Namespace) -> int:
    from napari_xmag.cli.progress import follow
    from napari_xmag.distill.config import load_distill_config
    from napari_xmag.distill.run import distill
    from napari_xmag.learn.distributed import join, leave
    from napari_xmag.nets.memory import keep_freed_memory_of_threads
    from napari_xmag.progress.heartbeat import finish

    keep_freed_memory_of_threads()
    config = load_distill_config(args.config, args.settings)
    processes = join()
    try:
        events = distill(config, resume=args.resume, restart=args.restart, processes=processes)
        if processes.first:
            return follow(events)
        # What the first process says need not be said again.
        logging.getLogger("napari_xmag").setLevel(logging.ERROR)
        finish(events)
        return 0
    finally:
        leave()


def _teachers() -> int:
    from napari_xmag.cli.columns import columns
    from napari_xmag.nets.teachers.known import TEACHERS

    rows = [("name", "feature", "tile", "mpp", "login", "licence", "share students?")]
    for name, spec in TEACHERS.items():
        feature = f"{spec.feature} {spec.width}"
        login = "yes" if spec.gated else "no"
        tile, mpp = f"{spec.tile_px} px", f"{spec.mpp:g}"
        rows.append((name, feature, tile, mpp, login, spec.licence, str(spec.sharing)))
    print(columns(rows))
    print(
        "\nAny timm name, hf-hub:OWNER/NAME or local-dir:FOLDER can be a teacher, too. Terms of "
        "use:"
    )
    for name, spec in TEACHERS.items():
        print(f"- {name}: {spec.terms}")
    return 0
