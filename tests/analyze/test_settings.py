"""Settings of an analysis: choices are checked, and are the core's own wherever they come from."""

import json

import pytest

from napari_xmag.analyze.settings import AnalyzeSettings
from napari_xmag.errors import ConfigError
from napari_xmag.slide.tissue import TissueChoice


def test_a_word_becomes_the_choice_it_names() -> None:
    assert AnalyzeSettings().tissue is TissueChoice.AUTO
    assert AnalyzeSettings(tissue="whole").tissue is TissueChoice.WHOLE  # type: ignore[arg-type]
    assert json.dumps(TissueChoice.REGIONS) == '"regions"'


@pytest.mark.parametrize("choice", ["all", "", TissueChoice.REGIONS, TissueChoice.PAINTED])
def test_what_needs_a_mask_or_is_none_is_refused(choice: TissueChoice) -> None:
    with pytest.raises(ConfigError, match="tissue to be auto or whole"):
        AnalyzeSettings(tissue=choice)
