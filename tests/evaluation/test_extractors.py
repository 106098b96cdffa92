import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.evaluation.extractors import MOTION, TEXTURE, Extractor, Lacking, chosen

CYCLES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 20), dtype=np.uint8)


@pytest.mark.parametrize("extractor", [TEXTURE, MOTION], ids=lambda extractor: extractor.name)
def test_columns_have_names(extractor):
    assert extractor.extract(CYCLES).shape == (3, len(extractor.columns))
    assert len(set(extractor.columns)) == len(extractor.columns)


@pytest.mark.parametrize("extractor", [TEXTURE, MOTION], ids=lambda extractor: extractor.name)
def test_measures_are_those_announced(extractor):
    features = np.random.default_rng(0).normal(size=(2, 40, len(extractor.columns)))
    assert tuple(extractor.measure(*features)) == extractor.measures


def test_extractors_come_in_the_order_of_their_names(tmp_path):
    found = list(chosen(["motion", "patches", "texture"], size=16, seed=0, encoder=tmp_path))
    assert [extractor.name for extractor in found] == ["motion", "patches", "texture"]
    assert all(isinstance(extractor, Extractor) for extractor in found)


def test_what_cannot_be_had_is_lacking_unless_it_is_required(tmp_path):
    options = {"size": 8, "seed": 0, "encoder": tmp_path}
    cardiac, patches = chosen(["cardiac", "patches"], **options)
    assert isinstance(cardiac, Lacking)
    assert "no encoder here" in cardiac.reason
    assert "8x8 are too small" in patches.reason
    assert patches.measures == ("swd",)
    with pytest.raises(CineganError, match="no encoder here"):
        list(chosen(["cardiac"], **options, required=["cardiac"]))


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(CineganError, match="no feature extractor 'inceptoin'; there are texture"):
        list(chosen(["inceptoin"], size=64, seed=0, encoder=tmp_path))
