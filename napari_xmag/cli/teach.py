"""``napari-xmag teach``: a classifier of patches from annotated slides."""

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import NOTICE
from napari_xmag.cli import slide_options
from napari_xmag.cli.settings import mpp_option

if TYPE_CHECKING:
    from napari_xmag.batch.targets import Target
    from napari_xmag.features.store import FeatureStore
    from napari_xmag.nets.stored import StoredModel
    from napari_xmag.qupath.annotation_files import AnnotationFiles
    from napari_xmag.teach.classifier import Taught
    from napari_xmag.teach.session import TeachSession

_DESCRIPTION = f"""\
Teach a classifier of patches by annotations of QuPath, and save it among your models: it appears in
the window, and in "analyze --model NAME". A patch is an example of a class if its middle lies in an
annotation of the class, or a point of the class lies in it. Tissue unlike all examples is left
unclassified.

{NOTICE}"""

_EPILOG = """\
examples:
  napari-xmag teach slides/*.svs --annotations geojson/ --name my-stroma
  napari-xmag analyze more-slides/ --model my-stroma"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "teach",
        help="teach a classifier of patches by annotated slides",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    slide_options.add_slides(parser)
    parser.add_argument(
        "--annotations",
        required=True,
        type=Path,
        metavar="DIR",
        help="holds a GeoJSON of QuPath named after each slide, or after its image in the project",
    )
    parser.add_argument(
        "--name", required=True, help="name of the model: letters, digits, dot, dash, underscore"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="holds the model's folder (default: your own models)",
    )
    parser.add_argument("--replace", action="store_true", help="replace a model of that name")
    parser.add_argument(
        "--encoder", metavar="M", help="model whose encoder is used; the bundled one by default"
    )
    parser.add_argument(
        "--mpp",
        type=mpp_option,
        metavar="X",
        help="µm per pixel of slides that do not state it; remembered for them",
    )
    parser.add_argument(
        "--qupath-origin",
        choices=("slide", "bounds"),
        default="bounds",
        help="where (0, 0) lies in the annotations: the corner of the scanned bounds, as QuPath "
        "has it, or of the whole slide (default: bounds)",
    )
    parser.add_argument(
        "--areas", type=Path, metavar="CSV", help="write the area of each class on these slides"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Teach and save."""
    from napari_xmag.features.store import FeatureStore
    from napari_xmag.nets.folder import check_name
    from napari_xmag.teach.classifier import fit
    from napari_xmag.teach.model_folder import save_taught_model
    from napari_xmag.teach.session import TeachSession
    from napari_xmag.zoo import open_model, user_folder

    check_name(args.name)
    files = _annotated(args.slides, args.annotations)
    encoder = open_model(args.encoder)
    session, store = TeachSession(), FeatureStore.of_user()
    session.clear_classes()
    for target, annotations in files:
        _teach_slide(session, target, annotations, encoder, store, args)
    taught = fit(session.request())
    folder = (args.out or user_folder()) / args.name
    model = save_taught_model(taught, encoder, folder, replace=args.replace)
    print(f"{model.info.summary}\n{_facts(model)}\nSaved to {folder}")
    if args.areas is not None:
        _write_areas(taught, args.areas)
    return 0


def _annotated(paths: list[Path], folder: Path) -> "list[tuple[Target, Path]]":
    """Return the slides that the arguments name, images of projects among them, and their files.

    In a project or a folder of slides not every one need be annotated: the others are listed.
    """
    from napari_xmag.batch.targets import find_targets
    from napari_xmag.qupath.annotation_files import AnnotationFiles
    from napari_xmag.teach.teach import require_annotations

    _, targets = find_targets(paths)
    files = AnnotationFiles.of(target.annotated for target in targets)
    found = [(each, _classed_file(files, each, folder)) for each in targets]
    lacking = [each for each, file in found if file is None]
    given = {path.absolute() for path in paths}
    named = [each for each in lacking if not each.key and each.path.absolute() in given]
    refused = lacking if len(lacking) == len(found) else named
    require_annotations([each.annotated.words for each in refused], len(found))
    if lacking:
        names = ", ".join(each.annotated.words for each in lacking)
        print(f"Left out, without annotations of a class: {names}", file=sys.stderr)
    return [(each, file) for each, file in found if file is not None]


def _classed_file(files: "AnnotationFiles", target: "Target", folder: Path) -> Path | None:
    from napari_xmag.qupath.labelled_regions import annotates_classes

    file = files.find(target.annotated, folder)
    return file if file is not None and annotates_classes(file) else None


def _teach_slide(
    session: "TeachSession",
    target: "Target",
    annotations: Path,
    encoder: "StoredModel",
    store: "FeatureStore",
    args: argparse.Namespace,
) -> None:
    from napari_xmag.cli.progress_line import ProgressLine
    from napari_xmag.geometry import Mpp
    from napari_xmag.slide.given_mpp import fill_mpp
    from napari_xmag.teach.teach import teach_slide

    line = ProgressLine()
    with target.open(None) as slide:
        if args.mpp is not None and (words := fill_mpp(slide, Mpp(args.mpp, args.mpp))):
            print(words, file=sys.stderr)
        origin = target.origin(slide, args.qupath_origin)
        steps = teach_slide(session, slide, encoder, store, annotations, origin=origin)
        try:
            with closing(steps):
                while True:
                    line.show(next(steps))
        except StopIteration as end:
            line.clear()
            print(f"{slide.path.name}: {end.value.examples} patches are examples")


def _facts(model: "StoredModel") -> str:
    facts = model.content.xmag["taught"]
    counts = zip(model.info.classes, facts["examples"], strict=False)
    return f"Examples: {', '.join(f'{n} {name}' for name, n in counts)}. {facts['words']}"


def _write_areas(taught: "Taught", path: Path) -> None:
    from napari_xmag.teach.areas import areas, write_areas

    slides = taught.request.slides
    write_areas([(slide.name, areas(taught, slide.id)) for slide in slides], path)
    print(f"Areas: {path}")
