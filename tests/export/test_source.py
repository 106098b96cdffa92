"""What is exported is what the pipeline left, or nothing is."""

import numpy as np
import pytest
from small_project import NAME, PLAIN, change

from cinegan.errors import CineganError
from cinegan.export.source import read_source
from cinegan.files import sha256, write_json
from cinegan.params import load_params


def read(name=NAME, *args, **options):
    return read_source(name, load_params(), *args, **options)


def test_a_source_has_the_first_cycles_and_their_labels(source, project):
    drawn = np.load(project / f"data/samples/{NAME}/cycles.npy")
    np.testing.assert_array_equal(source.cycles, drawn[:2])
    assert source.drawn == 3
    assert source.labels.maps.shape == (2, 64, 64, 3)
    assert source.labels.known.any(axis=-1).sum(axis=1).tolist() == [2, 2]
    assert source.figures is None


def test_only_figures_of_these_samples_are_taken(project):
    metrics = project / "metrics/models" / f"{NAME}.json"
    metrics.parent.mkdir(parents=True)
    report = {"n_synthetic": 3, "n_train": 4, "size": 64, "copied": 0.5}
    write_json(metrics, report)
    assert read().figures == report
    change(metrics, n_synthetic=40)
    assert read().figures is None


def test_the_key_tells_sources_apart(source, project):
    weights = project / f"models/{NAME}/generator.weights.h5"
    weights.write_bytes(b"others")
    change(project / f"data/samples/{NAME}/samples.json", weights_sha256=sha256(weights))
    assert read(NAME, 2).key != source.key


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: (p / f"models/{NAME}/model.json").unlink(), "no model.json here; `dvc repro tr"),
        (lambda p: (p / f"data/samples/{NAME}/cycles.npy").unlink(), "no cycles.npy here; `dvc"),
        (lambda p: (p / f"data/samples/{NAME}/labels.npy").unlink(), "no labels.npy here; `dvc"),
        (lambda p: (p / f"models/{NAME}/model.json").write_text("{"), "not whole JSON"),
        (lambda p: (p / f"data/samples/{NAME}/samples.json").write_text("{"), "not whole JSON"),
        (
            lambda p: (p / f"data/samples/{NAME}/cycles.npy").write_bytes(b"\x93NUMPY"),
            "not a whole",
        ),
        (lambda p: np.save(p / f"data/samples/{NAME}/cycles.npy", np.ones(3)), "not \\(n, H, W, T"),
        (lambda p: change(p / f"models/{NAME}/model.json", phases=8), "the model makes 8"),
        (
            lambda p: change(p / f"models/{NAME}/model.json", train_sha256="0"),
            "not the cycles that",
        ),
        (
            lambda p: np.save(
                p / f"data/samples/{NAME}/labels.npy", np.zeros((3, 64, 64, 2), np.uint8)
            ),
            "labels of other",
        ),
        (
            lambda p: change(p / f"data/samples/{NAME}/samples.json", weights_sha256="0"),
            "samples of other weights",
        ),
        (
            lambda p: (p / "params.yaml").write_text(
                (p / "params.yaml").read_text().replace("source: sunnybrook", "source: phantom")
            ),
            "phantom, but .* holds none",
        ),
        (
            lambda p: np.save(
                p / f"data/samples/{NAME}/cycles.npy", np.zeros((3, 64, 64, 20), np.uint8)
            ),
            "3 of 3 cycles are black",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused_in_one_line(project, spoil, message):
    spoil(project)
    with pytest.raises(CineganError, match=message) as raised:
        read()
    assert "\n" not in str(raised.value)


def test_labels_of_a_model_without_them_are_refused(project):
    with pytest.raises(CineganError, match=r"trained without them \(refused\); --without-labels"):
        read(PLAIN)
    assert read(PLAIN, labelled=False).labels is None
    with pytest.raises(CineganError, match="no model 'nobody' under models; there are dcgan64"):
        read("nobody")
    with pytest.raises(CineganError, match="4 cycles asked for, there are 3"):
        read(NAME, 4)
