"""What the window does: it starts work, listens to it, and keeps the state true. No widgets."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.components import ViewerModel
from pint import application_registry

from napari_xmag._gui.analyze import tasks
from napari_xmag._gui.analyze.keeper import Keeper
from napari_xmag._gui.analyze.places import Places
from napari_xmag._gui.analyze.results import Results
from napari_xmag._gui.analyze.scores import LiveScores
from napari_xmag._gui.analyze.slides import Slides
from napari_xmag._gui.analyze.state import SlideProgress, SlideSession, WindowState
from napari_xmag._gui.analyze.tissue.tools import TissueTools
from napari_xmag._gui.shared.collector import let_collect, spare_collector
from napari_xmag._gui.shared.jobs import Job, Jobs
from napari_xmag._gui.shared.maps import map_to_show, maps_in_sight
from napari_xmag._gui.shared.notices import tell_error, tell_written
from napari_xmag.analyze.events import SlideFinished, SlidePlanned, TilesDone, Waiting
from napari_xmag.analyze.heatmap import HeatMapView
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ConfigError, XmagError

if TYPE_CHECKING:
    from napari_xmag.slide.tissue import TissueMask
    from napari_xmag.zoo import ModelEntry


@dataclass(eq=False)
class _Run:
    """One analysis under way, and what it will replace when it ends well."""

    session: SlideSession
    before: SlideResult | None
    job: Job | None = None
    classes: tuple[str, ...] = ()
    is_shares: bool = False
    live: LiveScores | None = None
    planned: SlidePlanned | None = None
    outlines: bool = False
    finished: bool = False


class Controller:
    """Acts for one window.

    Parameters
    ----------
    viewer
        Where slides and maps are layers.
    state
        What the window shows; this class alone changes the sessions in it.
    """

    def __init__(self, viewer: ViewerModel, state: WindowState) -> None:
        self.viewer = viewer
        self.state = state
        self.jobs = Jobs(tell_error)
        self.slides = Slides(viewer, state, self.jobs)
        self.shelf = tasks.ModelShelf()
        self.runs: dict[SlideSession, _Run] = {}
        self.places = Places(viewer, state)
        self.tissue = TissueTools(viewer, state, self.jobs)
        self.results = Results(viewer, state, self.jobs, self.places)
        self.keeper = Keeper(state, self.jobs, self._show_saved)
        application_registry.parse_units("um")  # read once: at the first slide it would hurt
        self.slides.dropped.connect(self.cancel)
        self.slides.opened.connect(self.keeper.opened)
        self.keeper.regions_found.connect(self.tissue.put_back)
        self.keeper.compared.connect(self.results.compare)
        self.jobs.start(tasks.survey(), self._surveyed)

    def close(self) -> None:
        """End all work and let go of viewer and files; for when the window goes away."""
        self.keeper.close()
        self.tissue.close()
        self.slides.disconnect()
        self.jobs.stop_all()
        self.runs.clear()
        self.slides.close()
        let_collect(self)

    # models

    def _surveyed(self, found: tasks.Surveyed) -> None:
        self.state.devices = found.devices
        offered = [
            entry
            for entry in self.state.models
            if not any(_same_model(entry, known) for known in found.models)
        ]
        self.state.models = (*found.models, *offered)
        usable = [entry for entry in found.models if not entry.problem]
        if usable and not self.state.model:
            self.choose_model(usable[0].name)

    def offer(self, entry: "ModelEntry") -> None:
        """Add a model to the choice, in place of one of that name, and choose it."""
        others = [known for known in self.state.models if not _same_model(known, entry)]
        self.state.models = (*others, entry)
        self.choose_model(entry.name)

    def entry_of(self, name: str) -> "ModelEntry | None":
        """Return what is known of a model."""
        return next((entry for entry in self.state.models if entry.name == name), None)

    def choose_model(self, name: str) -> None:
        """Take a model for the next run, and load it ahead."""
        if name and name != self.state.model:
            self.state.model = name
            self.jobs.start(tasks.preload(self.shelf, name), lambda _: spare_collector(self))

    # slides

    def choose_slide(self, session: SlideSession) -> None:
        """Show a slide, alone, with its own layers."""
        self.slides.shown.show(session.layer)

    def whole_slide(self) -> bool:
        """Show all of the slide in sight, with its map."""
        session = self.state.current
        if session is None:
            return False
        self.slides.shown.fit()
        layer = map_to_show(self.viewer, session.layer)
        if layer is not None and not maps_in_sight(self.viewer, session.layer):
            layer.visible = True
        return True

    def compare_results(self) -> bool:
        """Show the map as the difference to the result before, or to another one; or end that."""
        session = self.state.current
        if session is None or session.result is None:
            return False
        if session.compared is not None:
            self.results.end_comparison(session)
            return True
        others = [item for item in session.saved if item.id != session.shown_id]
        own = next((item for item in session.saved if item.id == session.shown_id), None)
        if not others or own is None:
            return False
        before = (item for item in others if item.id == session.shown_before)
        self.keeper.compare(session, own, next(before, others[0]))
        return True

    def swap_results(self) -> bool:
        """Show the result that was shown before this one, to compare the two."""
        session = self.state.current
        if session is None or session.shown_before not in {item.id for item in session.saved}:
            return False
        self.keeper.choose(session, session.shown_before)
        return True

    def set_pixel_size(self, mpp: float) -> None:
        """Take the pixel size of the current slide from the user; old results do not hold then."""
        session = self.state.current
        if session is None:
            return
        self.cancel(session)
        session.scores, session.outcome = None, ""
        self.results.forget(session)
        for layer in self.slides.layers_of(session):
            if layer is not session.layer:
                self.viewer.layers.remove(layer)
        self.slides.open(session, mpp)

    # analysis

    def analyze(self) -> None:
        """Start to analyze the current slide; errors are told, never raised."""
        session = self.state.current
        if session is None or session in self.runs:
            return
        try:
            request = self._request(session)
        except XmagError as error:
            tell_error(error)
            return
        run = _Run(session, session.result)
        self.runs[session] = run
        session.outcome = ""
        if session.tissue_layer is not None:
            session.tissue_layer.visible = False  # its colour would tint the map
        # what follows is review: its keys act, and a click paints nothing
        self.slides.shown.take_tools_off(session.tissue_layer, session.regions_layer)
        session.progress = SlideProgress("Starting")
        self.results.forget(session)
        if session.map_layer is not None:
            session.map_layer.visible = True
        run.job = self.jobs.start(
            tasks.run(request, self.shelf), partial(self._hear, run), partial(self._end, run)
        )

    def _request(self, session: SlideSession) -> tasks.AnalyzeRequest:
        if session.slide is None or session.problem:
            raise ConfigError(
                expected="a slide that can be analyzed",
                found=session.problem or "a slide that is still opening",
                hint="Choose another slide, or wait a moment.",
            )
        state = self.state
        if state.settings is None:
            raise ConfigError(
                expected="valid advanced settings",
                found=state.settings_problem,
                hint="Correct them under Advanced.",
            )
        settings = replace(state.settings, device=state.device)
        return tasks.AnalyzeRequest(
            session.slide, state.model, settings, self.tissue.request(session)
        )

    def cancel(self, session: SlideSession | None = None) -> bool:
        """End the run of a slide (the current one) within a moment; what was there comes back.

        Returns
        -------
        Whether there was one.
        """
        session = session or self.state.current
        run = self.runs.get(session) if session is not None else None
        if run is None or run.job is None:
            return False
        run.session.progress = SlideProgress("Cancelling")
        run.job.stop()
        return True

    def cancel_all(self) -> None:
        """End the runs of all slides."""
        for session in list(self.runs):
            self.cancel(session)

    def _hear(self, run: _Run, event: object) -> None:
        session = run.session
        if isinstance(event, Waiting):
            old = session.progress or SlideProgress(event.stage)
            session.progress = replace(old, stage=event.stage)
            if run.planned is not None and not event.total:
                self._outline_planned(run, run.planned)
        elif isinstance(event, tasks.ModelReady):
            info = event.model.info
            run.classes, run.is_shares = info.classes, info.head == "patch_classifier"
        elif isinstance(event, SlidePlanned):
            run.live = LiveScores(event, run.classes, is_shares=run.is_shares)
            run.planned = event
            session.progress = SlideProgress(total=event.tiles)
        elif isinstance(event, TilesDone):
            self._take_tiles(run, event)
        elif isinstance(event, SlideFinished):
            self._finish(run, event.result)

    def _outline_planned(self, run: _Run, plan: SlidePlanned) -> None:
        """Show the tissue that will be read as long as the model is not ready."""
        if not run.outlines:
            run.outlines = True
            self.tissue.show_found(run.session, plan.mask)

    def _uncover(self, run: _Run) -> None:
        """Put the outline away: its colour would tint the map."""
        if run.outlines and run.session.tissue_layer is not None:
            run.session.tissue_layer.visible = False
        run.outlines, run.planned = False, None

    def _take_tiles(self, run: _Run, event: TilesDone) -> None:
        session = run.session
        self._uncover(run)
        session.progress = SlideProgress(
            "",
            event.done,
            event.total,
            event.tiles_per_second,
            event.seconds_left,
            event.unreadable,
        )
        if run.live is not None:
            session.scores = run.live.add(event)
            self.results.paint(session)

    def _finish(self, run: _Run, result: SlideResult) -> None:
        run.finished = True
        session = run.session
        self.results.take(session, result, run.live.mask if run.live is not None else None)
        session.progress = None
        self.keeper.keep(session, result)

    def _show_saved(
        self, session: SlideSession, result: SlideResult | None, result_id: str
    ) -> None:
        self.results.take(session, result)
        session.shown_id = result_id

    def _end(self, run: _Run) -> None:
        self.runs.pop(run.session, None)
        self._uncover(run)
        run.session.progress = None
        cancelled, run.job = run.job is not None and run.job.stopping, None
        if run.finished:
            return
        run.session.outcome = "Cancelled." if cancelled else "The analysis ended with an error."
        if run.before is not None or run.live is None:
            self.results.take(run.session, run.before)
        else:
            self.results.paint(run.session)  # with gaps where nothing was seen

    # map

    def class_of(self, session: SlideSession) -> str:
        """Return the class whose evidence is shown."""
        return self.results.class_of(session)

    @staticmethod
    def mask_of(session: SlideSession) -> "TissueMask | None":
        """Return the tissue on which the map has colour, where it is known."""
        return None if session.scores is None else session.scores.mask

    def show_evidence(self, class_name: str) -> None:
        """Show what speaks for a class."""
        self.state.class_name = class_name
        self.state.view = HeatMapView.EVIDENCE

    # export

    def export(self, session: SlideSession, folder: Path, origin: str) -> None:
        """Write all exports of the result that is shown of a slide, and say where they are."""
        if session not in self.state.sessions or session.slide is None or session.result is None:
            return
        path = session.path
        shown = self.results.look_of(session), self.mask_of(session)
        work = tasks.export(session.slide, session.result, folder, origin, session.store, shown)

        def done(event: object) -> None:
            if isinstance(event, tasks.Exported):
                words = f"{len(event.files)} files for {path.name} were saved in {folder}"
                tell_written(words, event.files)

        self.jobs.start(work, done)


def _same_model(one: "ModelEntry", other: "ModelEntry") -> bool:
    """Tell one model in two places, as a trained one that was added to the user's own."""
    if one.name == other.name:
        return True
    return one.info is not None and other.info is not None and one.info.sha256 == other.info.sha256
