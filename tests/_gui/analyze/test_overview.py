"""The overview follows the camera and moves it; label and macro picture come on request."""

from pathlib import Path

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_xmag.slide import associated_images
from tests._gui.window import Window
from tests.slide.test_associated_images import write_with_label

pytestmark = pytest.mark.window


def test_the_box_follows_the_view_and_a_click_moves_there(
    window: Window, pyramid_slide: Path
) -> None:
    session = window.open(pyramid_slide)  # 3000×2000 px of 0.5 µm: 1500×1000 µm
    camera, panel = window.viewer.scene.camera, window.widget.overview
    picture = panel.picture
    window.wait(lambda: not picture._pixmap.isNull())
    assert panel.minimumSizeHint().width() <= 200  # the panel fits in 320 px
    part = picture.part
    assert min(part.right - part.left, part.bottom - part.top) >= 1  # fitted: all is in sight

    camera.zoom = 4.0
    camera.center = (0.0, 250.0, 1125.0)
    height, width = window.viewer.canvas.size
    middle = pytest.approx(0.75, abs=1e-3)
    window.wait(lambda: (picture.part.left + picture.part.right) / 2 == middle)
    part = picture.part
    assert part.right - part.left == pytest.approx(width / 4 / 1500)
    assert (part.top + part.bottom) / 2 == pytest.approx(0.25, abs=1e-3)
    assert part.bottom - part.top == pytest.approx(height / 4 / 1000)
    assert panel.now.text() == "40×"

    frame = picture.frame()
    at = QPoint(round(frame.left() + frame.width() / 4), round(frame.top() + frame.height() / 2))
    QTest.mouseClick(picture, Qt.MouseButton.LeftButton, pos=at)
    _, y, x = camera.center
    assert (x, y) == pytest.approx((1500 / 4, 1000 / 2), abs=1500 / frame.width())
    panel.steps[10.0].click()
    assert camera.zoom == pytest.approx(1.0)  # at 10x, a pixel of the screen is 1 µm
    window.wait(lambda: panel.now.text() == "10×")
    assert session is window.session


def test_steps_need_a_pixel_size(window: Window, no_mpp_slide: Path) -> None:
    window.open(no_mpp_slide)
    panel = window.widget.overview
    assert not any(button.isEnabled() for button in panel.steps.values())
    assert panel.now.text() == ""
    window.widget.controller.set_pixel_size(0.5)
    window.wait(lambda: panel.steps[5.0].isEnabled())


def test_label_and_macro_are_read_on_request_only(
    window: Window, tmp_path: Path, pyramid_slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    require_harmless = associated_images.require_harmless
    monkeypatch.setattr(
        associated_images,
        "require_harmless",
        lambda path: read.append(path) or require_harmless(path),
    )
    level = "Aperio Image Library v11.2.1\n1200x900 JPEG/RGB Q=95|AppMag = 20|MPP = 0.5"
    path = write_with_label(
        tmp_path / "named.svs", level, "Aperio Image Library v11.2.1\n{name} {width}x80"
    )
    window.open(path)
    panel, sight = window.widget.overview, window.widget.sight
    assert read == []
    panel.label.click()
    window.wait(lambda: hasattr(sight, "label_dialog"))
    pictures = sight.label_dialog.pictures
    assert {kind: each.pixmap().width() for kind, each in pictures.items()} == {
        "label": 90,
        "macro": 200,
    }
    assert read == [path]
    sight.label_dialog.reject()
