import functools
import hashlib
import http.server
import threading

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from cinegan.errors import CineganError
from cinegan.evaluation import inception as module
from cinegan.evaluation.inception import FEATURES, FRAMES, build, inception, load_network

CYCLES = np.random.default_rng(0).integers(0, 256, (2, 20, 24, 6), dtype=np.uint8)


def write_weights(path, network):
    """In the format of the files that Keras offers, which is not the one it writes today."""
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file like Keras' own, of random weights."""
    path = tmp_path_factory.mktemp("weights") / "inception_notop.h5"
    keras.utils.set_random_seed(0)
    write_weights(path, keras.applications.InceptionV3(include_top=False, weights=None))
    return path


@pytest.fixture
def listed(weights, monkeypatch):
    """As if the file were the one that Keras lists."""
    monkeypatch.setattr(module, "MD5", hashlib.md5(weights.read_bytes()).hexdigest())
    return weights


@pytest.fixture(scope="module")
def network(weights):
    return build(weights)


@pytest.fixture(scope="module")
def exact(weights):
    """In float64: in float32 some processors round a frame otherwise by its place in a batch."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        return build(weights)
    finally:
        keras.config.set_dtype_policy(policy)


def test_two_frames_of_a_cycle_are_seen_each_for_itself(exact):
    features = inception(exact, CYCLES)
    assert features.shape == (2 * FRAMES, FEATURES)
    assert features.std() > 0
    only_first = np.repeat(CYCLES[:1, ..., :1], 6, axis=-1)
    first, half = inception(exact, only_first)
    np.testing.assert_allclose(first, half, rtol=1e-5)
    np.testing.assert_allclose(first, features[0], rtol=1e-4)
    only_half = np.repeat(CYCLES[:1, ..., 3:4], 6, axis=-1)
    np.testing.assert_allclose(inception(exact, only_half)[0], features[1], rtol=1e-4)


def test_batches_do_not_matter(network, monkeypatch):
    whole = inception(network, CYCLES)
    monkeypatch.setattr(module, "CHUNK", 1)
    np.testing.assert_allclose(inception(network, CYCLES), whole, rtol=1e-4, atol=1e-6)
    assert inception(network, CYCLES[:0]).shape == (0, FEATURES)


def test_weights_of_a_path_are_checked_and_loaded(listed, tmp_path):
    assert load_network(listed).output_shape == (None, FEATURES)
    with pytest.raises(CineganError, match="no such file"):
        load_network(tmp_path / "none.h5")
    (tmp_path / "other.h5").write_bytes(b"other")
    with pytest.raises(CineganError, match="not the weights that Keras lists"):
        load_network(tmp_path / "other.h5")


def test_a_file_of_other_weights_is_refused(tmp_path, monkeypatch):
    other = tmp_path / "other.h5"
    write_weights(other, keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    monkeypatch.setattr(module, "MD5", hashlib.md5(other.read_bytes()).hexdigest())
    with pytest.raises(CineganError, match="not weights of Inception-v3"):
        load_network(other)


@pytest.fixture
def served(weights):
    """Address of a server on loopback that has the weights."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=weights.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{weights.name}"
        server.shutdown()


def test_weights_are_downloaded_once_and_checked(served, listed, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(module, "URL", served)
    load_network()
    kept = tmp_path / "models" / listed.name
    assert kept.read_bytes() == listed.read_bytes()
    monkeypatch.setattr(module, "URL", served.replace("127.0.0.1", "127.0.0.1:1/"))
    load_network()  # from the cache


def test_another_file_at_the_address_is_refused_and_nothing_is_kept(served, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(module, "URL", served)
    with pytest.raises(CineganError, match=r"cannot be downloaded.*evaluate.inception_weights"):
        load_network()
    assert not list((tmp_path / "models").iterdir())


def test_without_a_connection_it_says_what_to_fetch(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(module, "URL", "http://127.0.0.1:1/inception.h5")
    with pytest.raises(
        CineganError, match=r"fetch http://127.0.0.1:1/inception.h5 by hand"
    ) as fault:
        load_network()
    assert "refused" in capsys.readouterr().err  # the cause, which a metrics file must not hold
    assert "refused" not in str(fault.value)
