"""What is shown of a result: its map, what differs from another one, and its places."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from napari.components import ViewerModel

from napari_xmag._gui.analyze import tasks
from napari_xmag._gui.analyze.map_layer import show_map, unmark_patch
from napari_xmag._gui.analyze.places import Places
from napari_xmag._gui.analyze.scores import PatchScores
from napari_xmag._gui.analyze.state import Compared, PatchCard, SlideSession, WindowState
from napari_xmag._gui.shared.jobs import Jobs
from napari_xmag._gui.shared.notices import tell
from napari_xmag.analyze.heatmap import HeatMapView, MapLook
from napari_xmag.analyze.result import SlideResult
from napari_xmag.analyze.tissue_used import tissue_used
from napari_xmag.review.evidence import Foremost
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import TissueMask


class Results:
    """Shows results of the slides of a window.

    Parameters
    ----------
    viewer
        Where maps are layers.
    state
        Says in which view.
    jobs
        Reads pictures and finds tissue in threads.
    places
        Told when another result, or another class, is shown.
    """

    def __init__(self, viewer: ViewerModel, state: WindowState, jobs: Jobs, places: Places) -> None:
        self._viewer, self._state, self._jobs, self._places = viewer, state, jobs, places
        for name in ("view", "class_name", "opacity", "threshold", "current"):
            getattr(state.events, name).connect(self._repaint)
        for name in ("view", "class_name", "current"):
            getattr(state.events, name).connect(self._follow_view)

    # which result

    def forget(self, session: SlideSession) -> None:
        """Show no result of a slide any more."""
        session.shown_before = session.shown_id or session.shown_before
        session.result, session.shown_id, session.compared = None, "", None
        session.cards, session.cards_for, session.foremost = None, None, None
        session.place = None
        unmark_patch(session)

    def take(
        self, session: SlideSession, result: SlideResult | None, mask: TissueMask | None = None
    ) -> None:
        """Show a result of a slide, or none.

        Parameters
        ----------
        mask
            The tissue that was analyzed; found again where it is not given.
        """
        self.forget(session)
        session.result = result
        if mask is None and result is not None:
            mask = result.mask
        session.tissue_of_result = mask if mask is not None else session.tissue_of_result
        if result is None:
            session.scores = None
        else:
            session.scores = PatchScores.of(result, self._tissue(session, result))
        self.paint(session)
        self._picture(session)

    def _tissue(self, session: SlideSession, result: SlideResult) -> TissueMask | None:
        """Return the tissue of a result if it is known; look for it again if not."""
        mask, slide = session.tissue_of_result, session.slide
        if slide is None or slide.mpp is None:
            return None
        if mask is not None and tissue_used(slide, mask) == result.tissue:
            return mask
        self._find_again(session, slide, result, partial(self._found_again, session, result))
        return None

    def _find_again(
        self,
        session: SlideSession,
        slide: Slide,
        result: SlideResult,
        hear: Callable[[object], None],
    ) -> None:
        regions = session.store.regions() if session.store is not None else ()
        self._jobs.start(tasks.tissue_again(slide, result, regions), hear)

    def _found_again(self, session: SlideSession, result: SlideResult, event: object) -> None:
        if isinstance(event, TissueMask) and session.result is result and session.scores:
            session.tissue_of_result = event
            session.scores = replace(session.scores, mask=event)
            self.paint(session)

    # the difference to another result

    def compare(self, session: SlideSession, other: SlideResult, words: tuple[str, str]) -> None:
        """Show the map as the difference to another result of the slide.

        Parameters
        ----------
        words
            What both results are called: the one that is shown, and the other one.
        """
        scores, state = PatchScores.of(other), self._state
        name = self.class_of(session)
        if state.view is HeatMapView.EVIDENCE and name not in scores.classes:
            tell(f"The other result, {words[1]}, has no class “{name}”.")
            return
        session.compared = Compared(scores, *words)
        self.paint(session)
        if session.slide is not None:
            hear = partial(self._found_beside, session, scores)
            self._find_again(session, session.slide, other, hear)

    def _found_beside(self, session: SlideSession, scores: PatchScores, event: object) -> None:
        """Leave out of a difference what is no tissue of the other result."""
        other = session.compared
        if isinstance(event, TissueMask) and other is not None and other.scores is scores:
            session.compared = replace(other, scores=replace(scores, mask=event))
            self.paint(session)

    def end_comparison(self, session: SlideSession) -> None:
        """Show the map of the result alone again."""
        session.compared = None
        self.paint(session)

    # strip

    def _follow_view(self) -> None:
        if self._state.current is not None:
            self._picture(self._state.current)

    def _picture(self, session: SlideSession) -> None:
        """Read the patches of the strip, by attention or by evidence as the map shows it."""
        slide, result = session.slide, session.result
        by_class = self._state.view is HeatMapView.EVIDENCE
        wanted = self.class_of(session) if by_class else ""
        if slide is None or result is None or not len(result.patches):
            return
        if session.cards_for == wanted:
            return
        session.cards, session.foremost, session.place = None, None, None
        unmark_patch(session)
        session.cards_for = wanted
        self._places.refresh(session)
        self._jobs.start(
            tasks.picture_strip(slide, result, wanted),
            partial(self._pictured, session, result, wanted),
        )

    def _pictured(
        self,
        session: SlideSession,
        result: SlideResult,
        wanted: str,
        event: Foremost | tuple[PatchCard, ...] | object,
    ) -> None:
        current = session.result is result and session.cards_for == wanted
        if isinstance(event, Foremost) and current:
            session.foremost = event
        elif isinstance(event, tuple) and current:
            session.cards = event

    # map

    def class_of(self, session: SlideSession) -> str:
        """Return the class whose evidence is shown: the chosen one, else the predicted one."""
        classes = session.scores.classes if session.scores is not None else ()
        if self._state.class_name in classes:
            return self._state.class_name
        predicted = session.result.predicted if session.result is not None else None
        return predicted or (classes[0] if classes else "")

    def look_of(self, session: SlideSession) -> MapLook:
        """Return how the map of a slide is shown."""
        state = self._state
        return MapLook(state.view, self.class_of(session), state.opacity, state.threshold)

    def _repaint(self) -> None:
        session = self._state.current
        if session is None:
            return
        other = session.compared
        by_class = self._state.view is HeatMapView.EVIDENCE
        if other is not None and by_class and self.class_of(session) not in other.scores.classes:
            session.compared = None  # the other result knows nothing of this class
        self.paint(session)

    def paint(self, session: SlideSession) -> None:
        """Bring a slide's map layer up to date; without values it has none."""
        there = session.layer in self._viewer.layers
        if session.scores is not None and session.mpp is not None and there:
            before = session.map_layer
            show_map(self._viewer, session, session.scores, self.look_of(session))
            if session.map_layer is not before and session.map_layer is not None:
                session.map_layer.events.opacity.connect(partial(self._follow_opacity, session))
        elif session.map_layer in self._viewer.layers:
            self._viewer.layers.remove(session.map_layer)

    def _follow_opacity(self, session: SlideSession, event: Any) -> None:
        """Take over what the user sets with napari's own slider."""
        if session is self._state.current:
            self._state.opacity = float(event.source.opacity)
