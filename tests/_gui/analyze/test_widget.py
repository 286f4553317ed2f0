"""The window, driven as a pathologist drives it, with the real engine and a small real model."""

from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_xmag._gui.analyze.state import WindowState
from napari_xmag.analyze.heatmap import HeatMapView, MapLook, attention_rank
from napari_xmag.analyze.result import SlideResult
from napari_xmag.export.overlay import write_overlay
from napari_xmag.review.evidence import foremost
from napari_xmag.review.verdicts import Verdict, by_patch, read_review
from napari_xmag.slide.mpp_store import remembered_mpp
from napari_xmag.slide.tissue import TissueChoice, find_tissue
from napari_xmag.zoo import save_model
from tests._gui.window import PATIENCE, Window, colours_of, map_pixels
from tests.nets.students import tiny_model

pytestmark = pytest.mark.window


def test_nothing_can_be_pressed_before_a_slide_is_open(window: Window) -> None:
    assert not window.widget.run.button.isEnabled()
    assert not window.widget.export_button.isEnabled()
    assert "Open a whole slide" in window.widget.chooser.about_slide.text()


def test_analyze_to_the_end(window: Window, aperio_slide: Path) -> None:
    window.open(aperio_slide)
    heard = []
    window.session.events.progress.connect(heard.append)

    session = window.analyze()

    result = session.result
    assert result is not None
    assert {event.stage for event in heard if event} >= {"Starting", ""}
    bars = {bar.name: bar.probability for bar in window.widget.prediction.bars}
    assert bars == dict(zip(result.classes, result.probabilities, strict=True))
    shown = [row.words.text() for row in window.widget.prediction.flags]
    assert any("demonstration model" in words for words in shown)
    assert window.widget.prediction.headline.text() == "No reliable prediction"
    assert window.widget.run.button.text() == "Analyze slide"
    assert window.widget.export_button.isEnabled()
    assert window.widget.slide_metadata.rows["Vendor"] == "aperio"
    assert "Time: total" in window.widget.slide_metadata.rows


def test_map_lies_on_its_patches_where_they_are_tissue(window: Window, aperio_slide: Path) -> None:
    session = window.open(aperio_slide)
    window.analyze()
    layer, patches = session.map_layer, session.result.patches
    rank = attention_rank(patches.attention)
    np.testing.assert_array_equal(colours_of(session, patches), rank)

    # A pixel has colour where it lies in a patch and, by the slide's own pixels, on tissue.
    y, x = map_pixels(session)
    in_patch = np.zeros(layer.data.shape, bool)
    for patch in range(len(patches)):
        box = patches.box(patch)
        in_patch |= np.outer((y >= box.y) & (y < box.bottom), (x >= box.x) & (x < box.right))
    mask = find_tissue(session.slide)
    rows, columns = (y / mask.scale_y).astype(int), (x / mask.scale_x).astype(int)
    on_tissue = mask.pixels[np.ix_(rows, columns)]
    assert (in_patch & ~on_tissue).sum() > 0
    np.testing.assert_array_equal(np.isfinite(layer.data), in_patch & on_tissue)
    assert layer.colormap.map(np.nan)[0, 3] == 0
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]


def test_map_fills_in_while_it_runs(window: Window, sample: Path) -> None:
    window.open(sample)
    session = window.start()

    known, first = session.scores.known, session.map_layer.data.copy()
    assert 0 < known < len(session.scores.attention)
    # what lies between is coloured roughly
    ground = np.isfinite(first)
    assert len(np.unique(first[np.isfinite(first)])) <= known
    assert "filling in" in window.widget.map.legend.title.text()
    window.go_on.set()
    window.wait(lambda: not np.array_equal(session.map_layer.data, first, equal_nan=True))
    window.wait(lambda: session.progress is None)
    np.testing.assert_array_equal(np.isfinite(session.map_layer.data), ground)


def test_cancel_ends_and_can_begin_again(window: Window, sample: Path) -> None:
    window.open(sample)
    session = window.start()
    assert window.widget.run.button.text() == "Cancel"

    window.press()
    window.wait(lambda: session.progress is None)
    assert session.result is None
    assert window.widget.run.button.text() == "Analyze slide"
    assert "Cancelled" in window.widget.run.words.text()
    assert "incomplete" in window.widget.map.legend.title.text()
    # what was not seen has no colour any more
    scores, (y, x) = session.scores, map_pixels(session)
    rows, columns = np.nonzero(np.isfinite(session.map_layer.data))
    coloured = np.unique(scores.places(x[columns], y[rows]))
    np.testing.assert_array_equal(coloured, np.flatnonzero(np.isfinite(scores.attention)))
    window.start()


def test_cancel_brings_the_earlier_result_back(window: Window, sample: Path) -> None:
    session = window.open(sample)
    session.tissue = TissueChoice.REGIONS
    window.viewer.add_shapes(
        [np.array([[1500, 1500], [1500, 2500], [2500, 2500], [2500, 1500]])],
        shape_type="polygon",
    )
    before = window.analyze().result
    session.tissue = TissueChoice.AUTO

    window.start()
    window.press()
    window.wait(lambda: session.progress is None)

    assert session.result is before
    rank = attention_rank(before.patches.attention)
    np.testing.assert_array_equal(colours_of(session, before.patches), rank)


def test_broken_model_is_told_and_the_button_comes_back(
    window: Window, aperio_slide: Path, models: Path
) -> None:
    window.open(aperio_slide)
    save_model(tiny_model("cut"), models / "cut")
    weights = models / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    notification_manager.records.clear()
    window.widget.controller.choose_model("cut")
    window.wait(lambda: notification_manager.records)
    notification_manager.records.clear()

    window.press()
    window.wait(lambda: window.session.progress is None)

    (told,) = notification_manager.records
    assert told.message.startswith("Expected ")
    assert "model.safetensors" in told.message
    assert window.widget.run.button.isEnabled()
    assert "error" in window.widget.run.words.text()


def test_unforeseen_error_does_not_freeze_the_button(
    window: Window, aperio_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.open(aperio_slide)
    notification_manager.records.clear()

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("the card is on fire")

    monkeypatch.setattr("napari_xmag._gui.analyze.tasks.analyze", fails)
    window.press()
    window.wait(lambda: window.session.progress is None)

    assert "the card is on fire" in notification_manager.records[-1].message
    assert window.widget.run.button.text() == "Analyze slide"
    assert window.widget.run.button.isEnabled()


def test_missing_mpp_is_asked_and_remembered(window: Window, no_mpp_slide: Path) -> None:
    session = window.open(no_mpp_slide)
    asking = window.widget.chooser.pixel_size
    assert asking.isVisible()
    assert not window.widget.run.button.isEnabled()
    assert "pixel size" in window.widget.run.button.toolTip()

    asking.field.setValue(0.5)
    asking.button.click()
    window.wait(lambda: session.slide.mpp is not None)

    assert remembered_mpp(no_mpp_slide).x == 0.5
    assert tuple(session.layer.scale) == (0.5, 0.5)
    window.analyze()
    assert any("0.5 µm" in row.words.text() for row in window.widget.prediction.flags)


def test_a_pixel_size_that_cannot_be_remembered_is_used_and_told(
    window: Window, no_mpp_slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = window.open(no_mpp_slide)
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_XMAG_HOME", str(tmp_path / "file" / "home"))
    asking = window.widget.chooser.pixel_size
    asking.field.setValue(0.5)
    asking.button.click()
    window.wait(lambda: session.slide.mpp is not None)
    assert session.slide.mpp.x == 0.5
    assert "could not be remembered for next time" in notification_manager.records[-1].message


def test_two_slides_keep_their_own_results(
    window: Window, aperio_slide: Path, pyramid_slide: Path
) -> None:
    first = window.open(aperio_slide)
    window.analyze()
    second = window.open(pyramid_slide)
    assert window.session is second
    assert window.widget.prediction.bars == []

    window.analyze()
    chooser = window.widget.chooser.slides
    assert [chooser.itemText(i) for i in range(chooser.count())] == ["aperio.svs", "pyramid.tiff"]
    chooser.setCurrentIndex(0)
    chooser.activated.emit(0)

    assert window.session is first
    assert first.map_layer is not second.map_layer
    assert first.map_layer.visible
    assert not second.map_layer.visible
    bars = {bar.name: bar.probability for bar in window.widget.prediction.bars}
    assert bars == dict(zip(first.result.classes, first.result.probabilities, strict=True))


def test_one_slide_at_a_time_and_all_that_is_its_own(
    window: Window, aperio_slide: Path, pyramid_slide: Path
) -> None:
    first = window.open(aperio_slide)
    window.analyze()
    window.widget.strip.patches[0].picture.click()
    window.widget.tissue.show_button.click()
    window.wait(lambda: first.tissue_layer is not None)
    seen = {first.layer, first.mark_layer, first.tissue_layer}  # the map stepped back
    layers = window.viewer.layers

    second = window.open(pyramid_slide)
    assert [layer for layer in layers if layer.visible] == [second.layer]

    layers.selection.active = first.layer
    assert window.session is first
    assert {layer for layer in layers if layer.visible} == seen
    assert window.widget.prediction.bars

    layers.remove(first.layer)
    assert list(layers) == [second.layer]
    assert second.layer.visible
    assert window.widget.state.sessions == (second,)
    assert window.session is second
    assert window.widget.prediction.bars == []


def test_evidence_of_a_class_is_what_the_map_shows(window: Window, aperio_slide: Path) -> None:
    session = window.open(aperio_slide)
    window.analyze()
    panel, state = window.widget.map, window.widget.state
    assert WindowState().view is HeatMapView.EVIDENCE  # what speaks for the predicted class
    assert panel.classes.currentData() == session.result.predicted
    panel.views.setCurrentIndex(2)
    panel.views.activated.emit(2)
    assert state.view is HeatMapView.RAW

    # To choose a class is to choose its evidence.
    assert panel.classes.isVisible()
    panel.classes.setCurrentIndex(1)
    panel.classes.activated.emit(1)

    tiles = session.result.patches
    shown = colours_of(session, tiles)
    np.testing.assert_array_equal(shown, tiles.evidence[:, 1])
    assert shown.sum() == pytest.approx(session.result.logits[1], abs=1e-4)
    assert "malignant" in panel.legend.title.text()
    # one scale for all slides: the mean of the colours is the score of the slide, of ±10
    np.testing.assert_allclose(session.map_layer.contrast_limits, np.array([-10, 10]) / len(tiles))
    assert panel.legend.high.text() == "for ≥ +10"


def test_raw_attention_and_threshold(window: Window, aperio_slide: Path) -> None:
    session = window.open(aperio_slide)
    window.analyze()
    window.widget.state.view = HeatMapView.RAW
    attention = session.result.patches.attention
    patches = session.result.patches
    assert colours_of(session, patches).sum() == pytest.approx(1, abs=1e-4)

    window.widget.map.threshold.setValue(95)
    strong = np.isfinite(colours_of(session, patches))
    np.testing.assert_array_equal(strong, attention >= 0.95 * attention.max())
    window.widget.map.opacity.setValue(25)
    assert session.map_layer.opacity == 0.25


def test_strip_follows_the_view(window: Window, aperio_slide: Path) -> None:
    session = window.open(aperio_slide)
    window.analyze()
    strip, state, result = window.widget.strip, window.widget.state, session.result
    state.view = HeatMapView.RANK
    window.wait(lambda: session.cards is not None)
    attended = [button.card.patch for button in strip.patches]
    assert attended == foremost(result).patches.tolist()
    strip.patches[0].right.click()
    assert "of the attention" in strip.words.text()

    state.view = HeatMapView.RAW
    assert [button.card.patch for button in strip.patches] == attended  # still by attention
    for name in result.classes:
        state.view, state.class_name = HeatMapView.EVIDENCE, name
        window.wait(lambda: session.cards is not None)
        found = foremost(result, name)
        assert [button.card.patch for button in strip.patches] == found.patches.tolist()
        carried = f"account for {100 * found.carried:.0f} % of the evidence for “{name}”"
        nothing = f"No patch is evidence for “{name}”."
        assert (carried if len(found) else nothing) in strip.words.text()
        # It was the attention that was right, not this evidence.
        assert not any(button.right.isChecked() for button in strip.patches)

    state.view = HeatMapView.RANK
    window.wait(lambda: session.cards is not None)
    assert strip.patches[0].right.isChecked()


def test_ticks_are_kept_and_exported(window: Window, aperio_slide: Path, tmp_path: Path) -> None:
    session = window.open(aperio_slide)
    window.analyze()
    first, second, third = window.widget.strip.patches[:3]
    first.right.click()
    second.wrong.click()
    third.right.click()
    third.right.click()  # taken back

    verdicts = {first.card.patch: Verdict.RIGHT, second.card.patch: Verdict.WRONG}
    assert {patch: said.verdict for patch, said in session.said.items()} == verdicts
    window.widget.controller.export(window.session, tmp_path / "out", "slide")
    window.wait((tmp_path / "out" / "review.csv").exists)
    said = by_patch(session.result, read_review(tmp_path / "out" / "review.csv"))
    assert {patch: review.verdict for patch, review in said.items()} == verdicts


def test_export_writes_all_files_and_says_where(
    window: Window, aperio_slide: Path, tmp_path: Path
) -> None:
    session = window.open(aperio_slide)
    window.analyze()
    notification_manager.records.clear()
    window.widget.export_button.click()
    dialog = window.widget.hand_on.export_dialog
    dialog.form.set_values({"folder": tmp_path / "out"})
    dialog.accept()
    window.wait(lambda: notification_manager.records)

    assert str(tmp_path / "out") in notification_manager.records[-1].message
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"result.json", "tiles.csv", "heatmap.ome.tif", "tiles.geojson", "overlay.png"}
    again = SlideResult.load(tmp_path / "out")
    assert again.probabilities == session.result.probabilities
    # The picture shows what the window shows: ranks, not evidence.
    look = MapLook(HeatMapView.RANK)
    write_overlay(session.slide, session.result, tmp_path / "ranks.png", look)
    assert (tmp_path / "out" / "overlay.png").read_bytes() == (tmp_path / "ranks.png").read_bytes()


def test_failed_export_is_told(window: Window, aperio_slide: Path, tmp_path: Path) -> None:
    window.open(aperio_slide)
    window.analyze()
    notification_manager.records.clear()
    (tmp_path / "file").write_text("in the way")
    window.widget.controller.export(window.session, tmp_path / "file" / "out", "slide")
    window.wait(lambda: notification_manager.records)
    assert notification_manager.records[-1].message.startswith("Expected ")


def test_repainted_tissue_changes_the_tiles(window: Window, aperio_slide: Path) -> None:
    session = window.open(aperio_slide)
    everything = window.analyze().result
    window.widget.tissue.show_button.click()
    window.wait(lambda: session.tissue_layer is not None)
    layer = session.tissue_layer

    height, width = layer.data.shape
    layer.brush_size = width
    layer.mode = "erase"
    layer.paint((height / 2, 0), 0)

    assert session.tissue is TissueChoice.PAINTED
    result = window.analyze().result
    assert 0 < len(result.patches) < len(everything.patches)
    assert result.settings["tissue"] == "painted"
    assert not layer.visible


def test_shapes_limit_the_tiles(window: Window, aperio_slide: Path) -> None:
    session = window.open(aperio_slide)
    window.widget.tissue.draw_button.click()
    assert session.tissue is TissueChoice.REGIONS
    regions = session.regions_layer
    assert window.viewer.layers.selection.active is regions
    regions.add_polygons([np.array([[800, 1500], [800, 2500], [2200, 2500], [2200, 1500]])])

    window.wait(lambda: regions.mode == "pan_zoom")  # the tool is put down
    tiles = window.analyze().result.patches

    center_x, center_y = tiles.x + tiles.width / 2, tiles.y + tiles.height / 2
    assert len(tiles) > 0
    assert center_x.min() > 1500 - 512
    assert center_x.max() < 2500 + 512
    assert center_y.min() > 800 - 512

    window.type("N")  # the regions are not selected any more: the keys are those of the review
    assert session.place == 0

    # What is drawn afterwards is not what was analyzed; also when the slide comes back.
    stale, store = window.widget.kept.stale, session.store
    assert stale.text() == ""
    window.wait(lambda: session.shown_id)
    regions.data = [np.array([[900, 1600], [900, 2500], [2200, 2500], [2200, 1600]])]
    # It is saved although the slide leaves at once, and lies there again when it comes back.
    window.viewer.layers.remove(session.layer)
    window.wait(lambda: store.regions() and store.regions()[0].min() == 900.5)
    session = window.open(aperio_slide)
    window.wait(lambda: session.result is not None)
    assert session.regions_layer.data[0].min() == 900
    assert "not the regions as they are drawn now" in stale.text()


def test_a_result_is_grey_only_where_it_is_not_of_what_is_drawn(
    window: Window, pyramid_slide: Path
) -> None:
    session = window.open(pyramid_slide)
    controller, stale = window.widget.controller, window.widget.kept.stale
    window.analyze()
    window.wait(lambda: session.shown_id)
    whole = session.shown_id
    controller.tissue.draw()
    drawn = session.regions_layer
    corners = np.array([[300, 400], [300, 2600], [1800, 2600], [1800, 400]])
    drawn.add_polygons([corners])
    window.analyze()
    window.wait(lambda: session.shown_id)
    part = session.shown_id
    for name in (whole, part):
        controller.keeper.choose(session, name)
        window.wait(lambda name=name: session.shown_id == name)
    assert stale.text() == ""  # the regions are the same

    drawn.data = [corners + 100]
    window.wait(lambda: "not the regions as they are drawn now" in stale.text())
    drawn.data = [corners]
    window.wait(lambda: stale.text() == "")

    controller.tissue.choose(TissueChoice.PAINTED)
    window.wait(lambda: session.tissue_layer is not None)
    session.tissue_layer.paint((5, 5), 1)
    controller.tissue.choose(TissueChoice.REGIONS)
    assert stale.text() == ""
    controller.tissue.choose(TissueChoice.PAINTED)
    window.analyze()
    assert stale.text() == ""
    session.tissue_layer.visible = True
    session.tissue_layer.paint((50, 50), int(not session.tissue_layer.data[50, 50]))
    window.wait(lambda: "not the tissue as it is painted now" in stale.text())
    session.tissue_layer.undo()
    window.wait(lambda: stale.text() == "")


def test_no_shape_is_told_and_nothing_starts(window: Window, aperio_slide: Path) -> None:
    session = window.open(aperio_slide)
    session.tissue = TissueChoice.REGIONS
    notification_manager.records.clear()
    window.press()
    assert "closed shape" in notification_manager.records[-1].message
    assert session.progress is None


def test_hover_reads_a_tile(window: Window, aperio_slide: Path) -> None:
    session = window.open(aperio_slide)
    window.analyze()
    tiles = session.result.patches
    tile = int(np.argmax(tiles.attention))
    center = (
        tiles.y[tile] + tiles.height[tile] / 2 - 0.5,
        tiles.x[tile] + tiles.width[tile] / 2 - 0.5,
    )

    class AnalyzeEvent:
        position = session.layer.data_to_world(center)

    for callback in window.viewer.mouse_move_callbacks:
        callback(window.viewer, AnalyzeEvent)
    assert "rank 100 %" in window.widget.hover.text()
    # What it says goes with the result, though the mouse stays where it is.
    window.widget.controller.results.take(session, session.result)
    assert "Point at" in window.widget.hover.text()

    AnalyzeEvent.position = (0.0, 0.0)
    window.viewer.mouse_move_callbacks[-1](window.viewer, AnalyzeEvent)
    assert "Point at" in window.widget.hover.text()


def test_review_layout_puts_naparis_docks_away_and_brings_them_back(window: Window) -> None:
    docks = window.viewer.window._qt_viewer
    theirs = (docks.dockLayerList, docks.dockLayerControls)
    assert all(dock.isVisible() for dock in theirs)
    window.widget.hand_on.layout_button.click()
    assert not any(dock.isVisible() for dock in theirs)
    assert window.widget.isVisible()
    window.widget.hand_on.layout_button.click()
    assert all(dock.isVisible() for dock in theirs)


def test_closing_the_window_ends_a_run(window: Window, sample: Path) -> None:
    window.open(sample)
    window.start()
    (job,) = (run.job for run in window.widget.controller.runs.values())

    window.viewer.close()
    assert job.wait(PATIENCE / 1000)


def test_closing_the_dock_ends_a_run(window: Window, sample: Path) -> None:
    window.open(sample)
    session = window.start()
    window.widget.parent().close()
    window.wait(lambda: session.progress is None)
    assert session.result is None


def test_removing_the_dock_lets_go_of_the_viewer(window: Window, sample: Path) -> None:
    window.open(sample)
    window.start()
    window.viewer.window.remove_dock_widget(window.widget)
    assert window.viewer.mouse_move_callbacks == []
    window.viewer.layers.clear()


def test_notice_is_always_visible(window: Window) -> None:
    assert window.widget.notice.isVisible()
    assert window.widget.notice.text() == "Research use only. Not for diagnosis."
