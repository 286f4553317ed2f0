"""``napari-xmag teach``: a classifier of patches from annotated slides."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag._about import NOTICE
from napari_xmag.cli import slide_options
from napari_xmag.cli.regions import add_origin
from napari_xmag.cli.settings import mpp_option
from napari_xmag.cli.slides import words_of_skipped
from napari_xmag.errors import ConfigError, TeachError, XmagError

if TYPE_CHECKING:
    from napari_xmag.batch.targets import Target
    from napari_xmag.nets.folders.stored import StoredModel
    from napari_xmag.qupath.annotation_files import AnnotationFiles
    from napari_xmag.teach.annotations import PolygonSettings
    from napari_xmag.teach.classifier import Taught
    from napari_xmag.teach.lesson import SlideId
    from napari_xmag.teach.teach import TaughtSlide

_DESCRIPTION = f"""\
Teach a patch classifier from QuPath annotations and save it with your models: it can then be chosen
in the window, and with "analyze --model NAME". A patch is an example of a class if its centre lies
in an annotation of that class, or if it contains a point of that class. Tissue unlike any example
is left unclassified.

{NOTICE}"""

_EPILOG = """\
exit code: 0 the model is saved, 1 it is not, or slides were left out that could not be read (each
is named with the reason), 2 wrong usage

examples:
  napari-xmag teach slides/*.svs --annotations geojson/ --name my-stroma
  napari-xmag analyze more-slides/ --model my-stroma"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "teach",
        help="teach a patch classifier from annotated slides",
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
        help="folder with a QuPath GeoJSON file for each slide, named after the slide or its "
        "image in the project",
    )
    parser.add_argument(
        "--name", required=True, help="name of the model: letters, digits, dot, dash, underscore"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder in which to create the model folder (default: your own models)",
    )
    parser.add_argument(
        "--replace", action="store_true", help="replace an existing model of that name"
    )
    parser.add_argument(
        "--encoder", metavar="M", help="model whose encoder is used (default: the bundled model)"
    )
    parser.add_argument(
        "--mpp",
        type=mpp_option,
        metavar="X",
        help="µm per pixel for slides whose file does not state it; remembered for these slides",
    )
    add_origin(parser, "the annotations")
    parser.add_argument(
        "--areas", type=Path, metavar="CSV", help="write the area of each class on these slides"
    )
    parser.add_argument(
        "--outlines",
        type=Path,
        metavar="DIR",
        help="write the map of each of these slides as outlines for QuPath",
    )
    parser.add_argument(
        "--smooth", action="store_true", help="round off the stair-step edges of the outlines"
    )
    parser.add_argument(
        "--min-area",
        type=_area,
        default=0.0,
        metavar="µm²",
        help="leave out areas smaller than this",
    )
    parser.add_argument(
        "--finer",
        action="store_true",
        help="encode these slides again, shifted by half a patch: areas and outlines then have "
        "twice the resolution",
    )
    parser.add_argument(
        "--beyond-tissue",
        action="store_true",
        help="let annotations that lie wholly where no tissue is found teach as well, such as fat",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Teach and save.

    Returns
    -------
    0 when the model is saved, 1 when images of a project or slides in a folder were left out that
    could not be read (they are named).
    """
    from napari_xmag.nets.folders.folder import check_name
    from napari_xmag.teach.annotations import PolygonSettings
    from napari_xmag.teach.classifier import fit
    from napari_xmag.teach.model_folder import save_taught_model
    from napari_xmag.zoo import open_model, user_folder

    check_name(args.name)
    _require_use(args)
    files = _Files.of(args.slides, args.annotations)
    encoder = open_model(args.encoder)
    lessons = _Lessons(args, encoder, files)
    lessons.learn()
    taught = fit(lessons.session.request())
    folder = (args.out or user_folder()) / args.name
    model = save_taught_model(taught, encoder, folder, replace=args.replace)
    print(f"{model.info.summary}\n{_facts(model)}\nSaved to {folder}")
    if args.areas is not None:
        _write_areas(taught, lessons.names, args.areas)
    if args.outlines is not None:
        shape = PolygonSettings(args.min_area, args.smooth)
        _write_outlines(taught, lessons.slides, args.outlines, shape)
    if files.failed:
        print(f"Failed: {', '.join(files.failed)}", file=sys.stderr)
    return 1 if files.failed else 0


def _require_use(args: argparse.Namespace) -> None:
    if args.finer and args.areas is None and args.outlines is None:
        raise ConfigError(
            expected="--areas or --outlines together with --finer",
            found="neither; --finer alone does not change the model",
            hint="Add --areas or --outlines, or leave out --finer.",
        )
    if (args.smooth or args.min_area) and args.outlines is None:
        raise ConfigError(
            expected="--outlines together with --smooth or --min-area",
            found="none",
            hint="Name a folder for the outlines, or leave out these options.",
        )


def _area(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not an area in µm²")
    return value


@dataclass
class _Files:
    """The slides that the arguments name, images of projects among them, and their annotations.

    In a project or a folder of slides not every one need be annotated, or can be read: the others
    are listed. What is named itself must be.
    """

    found: "list[tuple[Target, int | str | None, Path]]" = field(default_factory=list)
    lacking: "list[Target]" = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    given: frozenset[Path] = frozenset()

    @classmethod
    def of(cls, paths: list[Path], folder: Path) -> "_Files":
        """Find them all."""
        from napari_xmag.batch.targets import find_targets
        from napari_xmag.qupath.annotation_files import AnnotationFiles

        files = cls(given=frozenset(path.absolute() for path in paths))
        searched, targets = find_targets(paths)
        for line in words_of_skipped(searched):
            print(line, file=sys.stderr)
        annotations = AnnotationFiles.of(target.annotated for target in targets)
        # A slide is opened for its number of pictures only where one of them may have annotations.
        several = any(folder.glob("*#*"))
        for target in targets:
            with files.allowed_to_fail(target):
                images = target.images(None) if several else [None]
                pictures = _classed_files(annotations, target, images, folder)
                files.found += [(target, image, file) for image, file in pictures]
                if not pictures:
                    files.lacking.append(target)
        files.require_annotations()
        return files

    def is_named(self, target: "Target") -> bool:
        """Return whether an argument is this very slide."""
        return not target.key and target.path.absolute() in self.given

    def require_annotations(self) -> None:
        """List the slides without annotations; raise TeachError if no other is left."""
        from napari_xmag.teach.teach import require_annotations

        named = [each for each in self.lacking if self.is_named(each)]
        refused = named if self.found or self.failed else self.lacking
        count = len(self.found) + len(self.lacking) + len(self.failed)
        require_annotations([each.annotated.words for each in refused], count)
        reasons = [(target.annotated.words, _unusable(target)) for target in self.lacking]
        for name, why in reasons:
            if why:
                print(f"{name}: left out. {why}", file=sys.stderr)
        if names := ", ".join(name for name, why in reasons if not why):
            print(f"Left out, without annotations of a class: {names}", file=sys.stderr)

    @contextmanager
    def allowed_to_fail(self, target: "Target") -> Iterator[None]:
        """Name a slide that fails, so that the others go on; one that was named itself ends it."""
        try:
            yield
        except XmagError as error:
            if self.is_named(target):
                raise
            self.failed.append(target.annotated.words)
            print(f"{target.annotated.words}: FAILED. {error}", file=sys.stderr)


def _unusable(target: "Target") -> str:
    """Return why a slide could not teach even with annotations."""
    if not os.path.exists(target.path) and not (target.shown and target.shown.problem):
        return f"There is no such file: {target.path}."
    try:
        # QuPath shows the others; what is found in folders was looked at there
        if target.shown is not None:
            with target.open(None) as slide:
                target.origin(slide, "")
    except XmagError as error:
        return str(error)
    return ""


def _classed_files(
    files: "AnnotationFiles",
    target: "Target",
    images: "Sequence[int | str | None]",
    folder: Path,
) -> "list[tuple[int | str | None, Path]]":
    """Return the pictures of a file that are annotated, and by which file each."""
    from napari_xmag.qupath.annotation_files import picture_mark
    from napari_xmag.qupath.labelled_regions import annotates_classes

    found = ((image, files.find(target.annotated, folder, picture_mark(image))) for image in images)
    return [(image, file) for image, file in found if file and annotates_classes(file)]


class _Lessons:
    """Takes in slide after slide.

    Attributes
    ----------
    session
        What was taught so far.
    names
        What each slide is called; of several images of one, all their names.
    slides
        Each slide and image of QuPath, after what its files are called.
    """

    def __init__(self, args: argparse.Namespace, encoder: "StoredModel", files: _Files) -> None:
        from napari_xmag.features.store import FeatureStore
        from napari_xmag.teach.session import TeachSession

        self._args, self._encoder, self._files = args, encoder, files
        self._store = FeatureStore.of_user()
        self.session = TeachSession()
        self.session.clear_classes()
        self.names: dict[SlideId, str] = {}
        self.slides: dict[str, TaughtSlide] = {}

    def learn(self) -> None:
        """Take in all slides.

        Raises
        ------
        TeachError
            When none of them can be read.
        """
        for target, image, annotations in self._files.found:
            with self._files.allowed_to_fail(target):
                self._add(target, image, annotations)
        if not self.names:
            raise TeachError(
                expected="at least one slide with usable annotations",
                found=f"none among {len(self._files.failed)} slides",
                hint="Each is named above with the reason.",
            )

    def _add(self, target: "Target", image: int | str | None, annotations: Path) -> None:
        from napari_xmag.cli.progress_line import ProgressLine
        from napari_xmag.geometry import Mpp
        from napari_xmag.qupath.annotation_files import picture_mark
        from napari_xmag.slide.given_mpp import fill_mpp
        from napari_xmag.teach.teach import teach_slide

        args, line = self._args, ProgressLine()
        name = f"{target.annotated.words} {picture_mark(image)}".strip()
        with target.open(image) as slide:
            if args.mpp is not None and (words := fill_mpp(slide, Mpp(args.mpp, args.mpp))):
                print(words, file=sys.stderr)
            origin = target.origin(slide, args.qupath_origin)
            steps = teach_slide(
                *(self.session, slide, self._encoder, self._store, annotations),
                origin=origin,
                plane=target.plane(slide),
                finer=args.finer,
                beyond_tissue=args.beyond_tissue,
            )
            try:
                with closing(steps):
                    while True:
                        line.show(next(steps))
            except StopIteration as end:
                taught: TaughtSlide = end.value
                before = self.names.get(taught.prepared.id)
                self.names[taught.prepared.id] = f"{before}, {name}" if before else name
                self.slides[self._free_stem(target, taught)] = taught
                line.clear()
                print(f"{name}: {_counted(taught)}")
                if taught.unused:
                    print(
                        f"{name}: annotations that gave no example: {taught.unused}",
                        file=sys.stderr,
                    )
            finally:
                line.clear()

    def _free_stem(self, target: "Target", taught: "TaughtSlide") -> str:
        """Return what the files of a slide are called, so that QuPath's images find theirs."""
        from napari_xmag.export.result_folders import free_name, result_name

        slide, key = taught.prepared.id, target.key
        stem = target.annotated.short_stem if key else result_name(target.path, slide.image)
        return free_name(stem, slide.fingerprint, self.slides, key)


def _counted(taught: "TaughtSlide") -> str:
    words = f"{taught.examples} patches are examples"
    return f"{words}; {taught.known} more came from an earlier image" if taught.known else words


def _facts(model: "StoredModel") -> str:
    facts = model.content.xmag["taught"]
    counts = zip(model.info.classes, facts["examples"], strict=False)
    return f"Examples: {', '.join(f'{n} {name}' for name, n in counts)}. {facts['words']}"


def _write_areas(taught: "Taught", names: "Mapping[SlideId, str]", path: Path) -> None:
    from napari_xmag.teach.areas import areas, write_areas
    from napari_xmag.teach.lesson_range import unlike_slides

    unlike = unlike_slides(taught)
    write_areas(
        [(name, areas(taught, slide), unlike.get(slide, "")) for slide, name in names.items()], path
    )
    print(f"Areas: {path}")


def _write_outlines(
    taught: "Taught", slides: "Mapping[str, TaughtSlide]", folder: Path, shape: "PolygonSettings"
) -> None:
    from napari_xmag.filenames import CLASS_OUTLINES
    from napari_xmag.teach.annotations import map_features, write_annotations

    for stem, each in slides.items():
        features = map_features(taught, each.prepared, each.frame, shape, each.plane)
        write_annotations(features, folder / f"{stem}{CLASS_OUTLINES}")
    print(f"Outlines: {folder}")
