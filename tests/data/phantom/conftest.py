"""Studies that several files of tests look at."""

import pytest

from cinegan.data.phantom.study import Study

from .helpers import COHORT, draw


@pytest.fixture(scope="session")
def studies() -> dict[str, Study]:
    return {original_id: draw(original_id) for original_id in COHORT}
