"""What is to be analyzed: slides, the images of QuPath projects, or one image that QuPath shows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_xmag.batch.events import SlideLabel
from napari_xmag.errors import ProjectError
from napari_xmag.files import parse_json, real_path

if TYPE_CHECKING:
    from napari_xmag.qupath.annotation_files import AnnotatedSlide
    from napari_xmag.qupath.origin import Origin
    from napari_xmag.qupath.project import Project
    from napari_xmag.qupath.server import QuPathImage
    from napari_xmag.slide.base import Slide
    from napari_xmag.slide.find import FoundSlides


@dataclass(frozen=True)
class Target:
    """One file, or one image that QuPath shows.

    Attributes
    ----------
    path
        File or folder.
    shown
        How QuPath shows it, where it comes from there.
    name
        Its name in QuPath.
    project, key
        Where it stands in a project.
    entry
        Tells it from other images of QuPath that show the same file, those of copies of the project
        included; empty for a plain file. The same in each run, wherever the slide lies.
    earlier
        The same where the project lay before it was moved; empty where it was not.
    """

    path: Path
    shown: "QuPathImage | None" = None
    name: str = ""
    project: "Project | None" = None
    key: str = ""
    entry: str = ""
    earlier: str = ""

    @property
    def annotated(self) -> "AnnotatedSlide":
        """What a file of its annotations may be named after."""
        from napari_xmag.qupath.annotation_files import AnnotatedSlide

        series = None if self.shown is None else self.shown.series
        return AnnotatedSlide(self.path.absolute(), self.name, self.key, further=bool(series))

    def label(self, image: int | str | None = None) -> SlideLabel:
        """Return what a picture of the file is called."""
        if self.project is None:
            return SlideLabel(self.path, image)
        place = self.project.path, self.project.left
        return SlideLabel(self.path, image, self.name, self.key, *place)

    def images(self, wanted: str | None) -> "Sequence[int | str | None]":
        """Return the pictures of the file that are to be analyzed; see `open_only`."""
        only, images = self.open_only(wanted)
        if only is not None:
            only.close()
        return images

    def open_only(self, wanted: str | None) -> "tuple[Slide | None, Sequence[int | str | None]]":
        """Return the pictures of the file that are to be analyzed; open, if it is only one.

        Parameters
        ----------
        wanted
            The only one, of a file that holds several. An image of QuPath is one picture already.

        Returns
        -------
        The slide is None where there are several pictures, or where it need not or cannot be opened
        to tell.
        """
        from napari_xmag.slide.open import open_slide

        if self.shown is not None:
            return None, [None]
        if wanted is not None:
            return None, [wanted]
        try:
            slide = open_slide(self.path)
        except Exception:  # noqa: BLE001 - opening it again says what is wrong
            return None, [None]
        images = [image.index for image in slide.images]
        if len(images) == 1:
            return slide, images
        slide.close()  # it tells of the others as if they were left out
        return None, images

    def open(self, image: int | str | None) -> "Slide":
        """Open a picture of the file; of QuPath's, the one that it shows.

        Raises
        ------
        SlideOpenError
            When it cannot be read.
        ProjectError
            When QuPath shows other pixels than the file holds.
        """
        from napari_xmag.qupath.server import open_shown
        from napari_xmag.slide.open import open_slide

        if self.shown is None:
            return open_slide(self.path, image=image)
        self.shown.require_plain()
        return open_shown(self.shown)

    def origin(self, slide: "Slide", stated: str) -> "Origin":
        """Return from which corner QuPath counts: known of its images, else as stated.

        Raises
        ------
        ProjectError
            When QuPath shows a picture of another size.
        """
        from napari_xmag.qupath.origin import Origin
        from napari_xmag.qupath.server import find_origin

        return Origin(stated) if self.shown is None else find_origin(self.shown, slide)

    def plane(self, slide: "Slide") -> int:
        """Return on which focal plane QuPath shows the slide, from 0."""
        from napari_xmag.qupath.planes import shown_plane

        return shown_plane(slide, 0 if self.shown is None else self.shown.planes)


def find_targets(paths: Iterable[Path]) -> "tuple[FoundSlides, list[Target]]":
    """Return the slides that the arguments name, each once, and then the images of projects.

    Raises
    ------
    ProjectError
        When a project cannot be read.
    """
    from napari_xmag.slide.find import find_slides

    shown: list[Target] = []
    others: list[Path] = []
    projects: set[Path] = set()
    for path in paths:
        if path.suffix.lower() == ".qpproj":
            # one project named by two paths is one
            if real_path(path) not in projects:
                shown += _of_project(path)
            projects.add(real_path(path))
        elif path.suffix.lower() == ".json":
            shown.append(_of_server(path))
        else:
            others.append(path)
    found = find_slides(others)
    return found, [*map(Target, found.slides), *shown]


def _of_project(path: Path) -> list[Target]:
    from napari_xmag.qupath.project import read_project

    project = read_project(path)
    return [
        Target(
            entry.image.path,
            entry.image,
            entry.name,
            project,
            entry.key,
            project.mark(entry.key),
            project.earlier_mark(entry.key),
        )
        for entry in project.entries
    ]


def _of_server(path: Path) -> Target:
    """Read one image as QuPath describes it: a ``server.json``, or an entry of a project."""
    from napari_xmag.qupath.server import BUILDER_ERRORS, builder_words, read_server

    try:
        content = parse_json(path.read_text(encoding="utf-8-sig"), finite=False)
        image = read_server(content.get("serverBuilder") or content)
        mark, earlier = _marks_of(content, image)
    except (OSError, *BUILDER_ERRORS) as error:
        raise ProjectError(
            expected=f"an image as QuPath describes it in {path.name}",
            found=f"a file that cannot be read as such: {builder_words(error)}",
            hint="Give the slide itself, a project.qpproj, or the server.json beside it.",
            causes=(error,),
        ) from error
    return Target(image.path, image, image.path.name, entry=mark, earlier=earlier)


def _marks_of(content: Mapping[str, Any], image: "QuPathImage") -> tuple[str, str]:
    """Return the mark of one image, and that of where its project lay before.

    By project and ID where the file states them, else by how it is shown.
    """
    from napari_xmag.qupath.project import mark_of, named_project

    if "entryID" not in content:
        return mark_of(image.series, image.crop), ""
    key, stated = str(content["entryID"]), content.get("project")
    if not stated:
        return mark_of(key), ""
    project = named_project(stated)
    return project.mark(key), project.earlier_mark(key)


def check_shown(targets: Iterable[Target]) -> None:
    """Look at images that QuPath shows before anything else is loaded: somebody is waiting there.

    Raises
    ------
    ProjectError
        When QuPath shows other pixels than the file holds.
    SlideOpenError
        When the file cannot be read.
    """
    for target in targets:
        if target.shown is not None and target.project is None:
            with target.open(None) as slide:
                target.origin(slide, "")
