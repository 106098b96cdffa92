import numpy as np
import pytest

from cinegan.errors import CineganError
from cinegan.evaluation.extractors import EXTRACTORS, extractor_named


@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_extractor_gives_a_column_for_each_of_its_names(name):
    extractor = extractor_named(name)
    cycles = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 20), dtype=np.uint8)
    assert extractor.extract(cycles).shape == (3, len(extractor.names))
    assert len(set(extractor.names)) == len(extractor.names)


def test_an_unknown_name_is_refused():
    with pytest.raises(CineganError, match="no feature extractor 'inceptoin'; there are texture"):
        extractor_named("inceptoin")
