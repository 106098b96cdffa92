"""The registry: versions of generators, the best of them, and how they are fetched."""

from __future__ import annotations

import os
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import mlflow
import pytest
from imports import ROOT
from journals import mark_best, runs_of

from cinegan.errors import CineganError
from cinegan.tracking import registry, runs
from cinegan.tracking.outbox import kept, send
from cinegan.tracking.registry import fetch
from cinegan.tracking.runs import run_of_weights
from cinegan.tracking.store import connect

MODEL, SHAPE = "cinegan-ventricles-64", (64, 64, 20)
FILES = ("generator.weights.h5", "model.json", "card.md")


def register(folder, weights, *, name="dcgan64", card="what it is", **figures):
    """A generator of some weights, which test patients have judged."""
    judged = {"kid_texture_test": 3.0, "kid_texture_floor": 0.2, **figures}
    register_as(folder, name, weights, card, judged)


def register_trial(folder, weights):
    """A generator which val patients have judged."""
    trial = {"alias": "dcgan64-rates.7", "provisional": True}
    register_as(folder, "dcgan64", weights, "not judged", {"kid_texture_val": 2.0}, **trial)


def weights_of(folder, weights, *, name="dcgan64", card="what it is"):
    """Write a generator's files; where its weights are."""
    (folder / name).mkdir(exist_ok=True)
    for file, content in zip(FILES, (weights, "{}", card), strict=True):
        (folder / name / file).write_text(content)
    return folder / name / FILES[0]


def register_as(folder, name, weights, card, figures, **how):
    weights_of(folder, weights, name=name, card=card)
    files = [folder / name / file for file in FILES]
    with run_of_weights(files[0], name) as run:
        run.version(MODEL, name, files, SHAPE, figures, **how)


def registry_of(uri):
    """The versions that aliases point to, and all versions by number."""
    client = mlflow.MlflowClient(uri)
    found = client.search_model_versions(f"name = '{MODEL}'")
    aliases = client.get_registered_model(MODEL).aliases
    return (
        {alias: int(version) for alias, version in aliases.items()},
        {int(each.version): each for each in found},
    )


def test_a_judged_generator_is_a_version_with_signature_example_card_and_figures(checkout):
    register(checkout, "weights", copied=None)
    uri = f"sqlite:///{checkout}/mlflow.db"
    aliases, versions = registry_of(uri)
    assert aliases == {"dcgan64": 1}
    tags = versions[1].tags
    assert tags["model"] == "dcgan64"
    assert (tags["kid_texture_test"], tags["copied"]) == ("3.0", "null")
    assert versions[1].run_id == runs_of(uri)[1][0].info.run_id
    kept = Path(versions[1].source.removeprefix("file://"))
    files = {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()}
    weights = {f"data/dcgan64/{each}" for each in ("generator.weights.h5", "model.json", "card.md")}
    assert weights < files
    assert not [file for file in files if file.endswith((".pkl", ".pickle"))]
    told = mlflow.models.Model.load(str(kept))
    assert told.signature.outputs.inputs[0].shape == (-1, *SHAPE)
    assert told.signature.inputs.input_names() == ["n", "seed"]
    assert told.load_input_example(str(kept)).to_dict("list") == {"n": [2], "seed": [0]}
    assert told.flavors["python_function"]["loader_module"] == registry.LOADER
    assert (ROOT / f"{registry.LOADER.replace('.', '/')}.py").is_file()


def test_the_same_weights_are_one_version_that_is_told_anew(checkout):
    register(checkout, "weights", card="first")
    register(checkout, "weights", card="second", kid_texture_test=2.5)
    register(checkout, "others")
    aliases, versions = registry_of(f"sqlite:///{checkout}/mlflow.db")
    assert aliases == {"dcgan64": 2}
    assert set(versions) == {1, 2}
    assert versions[1].tags["kid_texture_test"] == "2.5"
    card = Path(versions[1].source.removeprefix("file://")) / "data/dcgan64/card.md"
    assert card.read_text() == "second"
    register(checkout, "weights")  # back to what was there before
    aliases, versions = registry_of(f"sqlite:///{checkout}/mlflow.db")
    assert (aliases, set(versions)) == ({"dcgan64": 1}, {1, 2})


def test_a_trials_generator_is_a_version_that_gets_another_card_when_it_is_judged(checkout):
    uri = f"sqlite:///{checkout}/mlflow.db"

    def card(number):
        folder = fetch(f"models:/{MODEL}@dcgan64-rates-7", checkout / f"got {number}")
        return (folder / "card.md").read_text()

    register_trial(checkout, "weights")
    aliases, versions = registry_of(uri)
    assert aliases == {"dcgan64-rates-7": 1}
    assert versions[1].tags["kid_texture_val"] == "2.0"
    assert "card.md among its artifacts" in versions[1].description
    assert card(1) == "not judged"
    mark_best(MODEL, {})
    assert "best" not in registry_of(uri)[0]  # by what is told of test patients alone
    register(checkout, "weights", kid_texture_test=3.5)
    aliases, versions = registry_of(uri)
    assert aliases == {"dcgan64-rates-7": 1, "dcgan64": 1}
    tags = versions[1].tags
    assert (tags["kid_texture_val"], tags["kid_texture_test"]) == ("2.0", "3.5")
    assert card(2) == "what it is"
    register_trial(checkout, "weights")  # once more
    assert card(3) == "what it is"


@pytest.mark.parametrize("fault", ["deleted", "damaged"])
def test_weights_whose_version_is_not_whole_any_more_are_a_new_one(checkout, fault):
    register(checkout, "weights")
    client = mlflow.MlflowClient(f"sqlite:///{checkout}/mlflow.db")
    version = client.get_model_version_by_alias(MODEL, "dcgan64")
    for path in (checkout / "mlartifacts").rglob("generator.weights.h5"):
        path.write_text("torn") if fault == "damaged" else path.unlink()
    if fault == "deleted":
        client.delete_run(version.run_id)
    register(checkout, "weights")
    aliases, versions = registry_of(f"sqlite:///{checkout}/mlflow.db")
    assert (aliases, set(versions)) == ({"dcgan64": 2}, {1, 2})
    folder = fetch(f"models:/{MODEL}@dcgan64", checkout / "got")
    assert (folder / "generator.weights.h5").read_text() == "weights"


def test_an_alias_that_goes_to_other_weights_is_told(checkout, capsys):
    register(checkout, "weights")
    register(checkout, "weights")
    assert capsys.readouterr().err == ""
    register(checkout, "others")
    told = f"{MODEL}@dcgan64 was version 1, and is 2 from now on\n"
    assert capsys.readouterr().err.endswith(told)


def test_the_best_is_the_lowest_of_those_judged_on_the_same_real_cycles(checkout):
    uri, real = f"sqlite:///{checkout}/mlflow.db", {"kid_texture_floor": 0.2}
    mark_best(MODEL, real)  # nothing is there yet
    register(checkout, "a", kid_texture_test=10.0)
    register(checkout, "b", kid_texture_test=9.5, name="cinegan64")
    register(checkout, "c", kid_texture_test=0.1, kid_texture_floor=0.3)
    register(checkout, "d", kid_texture_test=None)
    mark_best(MODEL, real)
    assert registry_of(uri)[0] == {"dcgan64": 4, "cinegan64": 2, "best": 2}
    register(checkout, "e", kid_texture_test=-0.25)
    mark_best(MODEL, real)
    assert registry_of(uri)[0]["best"] == 5
    mark_best(MODEL, {"kid_texture_floor": 0.4})  # no rivals
    assert registry_of(uri)[0]["best"] == 5


REAL = {"kid_texture_floor": 0.2}


def look_slowly(folder, pause):
    """Let there be time for others between a look at the registry and what comes of it."""
    os.chdir(folder)
    found = registry._versions

    def versions(*words):
        there = found(*words)
        Path("looked").touch()
        pause()
        return there

    registry._versions = versions


def _mark_slowly(folder):
    look_slowly(folder, lambda: wait_for(Path("better"), 5))
    mark_best(MODEL, REAL)


def wait_for(path, seconds):
    """Wait until there is such a file, or for so long."""
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_processes_that_mark_the_best_at_once_leave_the_best_marked(checkout):
    register(checkout, "a", kid_texture_test=10.0)
    mark_best(MODEL, REAL)
    slow = get_context("spawn").Process(target=_mark_slowly, args=(str(checkout),))
    slow.start()
    wait_for(checkout / "looked", 120)
    register(checkout, "b", kid_texture_test=9.0, name="cinegan64")
    mark_best(MODEL, REAL)
    (checkout / "better").touch()
    slow.join()
    assert registry_of(f"sqlite:///{checkout}/mlflow.db")[0]["best"] == 2


def test_what_another_checkout_marks_meanwhile_is_looked_at_again(
    server, bare_checkout, monkeypatch, tmp_path_factory
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    with server.running():
        register(bare_checkout, "a", kid_texture_test=10.0)
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        mark = mlflow.MlflowClient.set_registered_model_alias

        def overtaken(*words):
            monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", mark)
            monkeypatch.chdir(elsewhere)
            register(elsewhere, "b", kid_texture_test=9.0, name="cinegan64")
            mark_best(MODEL, REAL)
            monkeypatch.chdir(bare_checkout)
            mark(*words)

        monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", overtaken)
        mark_best(MODEL, REAL)
        assert registry_of(server.url)[0]["best"] == 2


def test_a_registered_version_is_fetched_to_another_folder(checkout, monkeypatch, tmp_path_factory):
    register(checkout, "weights")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{checkout}/mlflow.db")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    folder = fetch(f"models:/{MODEL}@dcgan64", elsewhere / "got")
    assert folder.name == "dcgan64"
    assert (folder / "generator.weights.h5").read_text() == "weights"
    for path in (checkout / "mlartifacts").rglob("generator.weights.h5"):
        path.write_text("other weights")
    with pytest.raises(CineganError, match="are not those that were registered"):
        fetch(f"models:/{MODEL}/1", elsewhere / "again")
    for uri in (f"models:/{MODEL}@nobody", f"models:/{MODEL}/9", "models:/nothing/1", "models:/x"):
        with pytest.raises(CineganError, match="cannot be had from MLflow at") as refused:
            fetch(uri, elsewhere / "none")
        assert "\n" not in str(refused.value)
    assert not list(elsewhere.glob("*.db"))


def test_nothing_is_fetched_or_made_where_there_is_no_store(bare_checkout):
    with pytest.raises(CineganError, match="no MLflow store; set MLFLOW_TRACKING_URI"):
        fetch(f"models:/{MODEL}@best", bare_checkout / "got")
    assert not list(bare_checkout.iterdir())


def test_what_was_judged_while_mlflow_was_away_is_registered_and_marked_when_it_is_back(
    server, bare_checkout, monkeypatch, capsys
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    register(bare_checkout, "a", kid_texture_test=10.0)
    register(bare_checkout, "b", kid_texture_test=9.0, name="cinegan64")
    mark_best(MODEL, REAL)
    for file in bare_checkout.glob("[!.]*/*"):  # as stages do that run again
        file.write_text("anew")
    told = capsys.readouterr().err
    for name in ("dcgan64", "cinegan64", "comparison"):
        assert f"what it does not have of {name} lies in .mlflow-unsent/" in told
    with server.running():
        send(connect(at_once=True))
        aliases, versions = registry_of(server.url)
        assert aliases == {"dcgan64": 1, "cinegan64": 2, "best": 2}
        assert versions[1].tags["kid_texture_test"] == "10.0"
        for name, weights in (("dcgan64", "a"), ("cinegan64", "b")):
            folder = fetch(f"models:/{MODEL}@{name}", bare_checkout / f"got {name}")
            assert (folder / "generator.weights.h5").read_text() == weights
            assert (folder / "card.md").read_text() == "what it is"
    assert kept() == []


def test_a_registered_model_that_is_deleted_meanwhile_is_made_again(checkout, monkeypatch, capsys):
    new_version = registry._new_version

    def deleted(client, *told):
        monkeypatch.setattr(registry, "_new_version", new_version)
        made = new_version(client, *told)
        client.delete_registered_model(MODEL)
        return made

    monkeypatch.setattr(registry, "_new_version", deleted)
    register(checkout, "weights")
    lost, again = capsys.readouterr().err.splitlines()
    assert lost.endswith(f"{MODEL} not found; going on, what it does not have is kept")
    assert again.endswith("answers again, and has all that was kept")
    aliases, versions = registry_of(f"sqlite:///{checkout}/mlflow.db")
    assert (aliases, set(versions)) == ({"dcgan64": 1}, {1})


def test_what_waited_for_its_server_does_not_undo_what_was_told_since(
    server, bare_checkout, monkeypatch, tmp_path_factory, capsys
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    for weights in ("mine", "the same"):  # the server is away
        register(bare_checkout, weights, card="on Friday", kid_texture_test=9.0)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with server.running():
        monkeypatch.chdir(elsewhere)
        assert connect(at_once=True)
        for weights in ("the same", "theirs"):
            register(elsewhere, weights, card="on Tuesday", kid_texture_test=2.0)
        monkeypatch.chdir(bare_checkout)
        capsys.readouterr()
        assert send(connect()) == []
        aliases, versions = registry_of(server.url)
        assert aliases == {"dcgan64": 2}
        figures = {number: version.tags["kid_texture_test"] for number, version in versions.items()}
        assert figures == {1: "2.0", 2: "2.0", 3: "9.0"}
        card = fetch(f"models:/{MODEL}/1", bare_checkout / "got") / "card.md"
        assert card.read_text() == "on Tuesday"
    mine, figures, same = capsys.readouterr().err.splitlines()
    assert f"{MODEL}@dcgan64 stays version 2, which was judged later, at 20" in mine
    assert f"figures of {MODEL}@dcgan64 stay those of 20" in figures
    assert f"{MODEL}@dcgan64 stays version 2, which was judged later, at 20" in same


def test_a_clock_that_was_ahead_holds_no_alias(checkout, monkeypatch):
    with monkeypatch.context() as ahead:
        ahead.setattr(runs, "now", lambda: "2999-01-01T00:00:00.000+00:00")
        register(checkout, "a colleague's")
    register(checkout, "mine")
    assert registry_of(f"sqlite:///{checkout}/mlflow.db")[0] == {"dcgan64": 2}


def test_a_version_whose_files_are_gone_is_told_so(checkout, monkeypatch, capsys):
    def away(*_):
        for file in (checkout / "dcgan64").iterdir():
            file.unlink()
        raise ConnectionError("away")

    monkeypatch.setattr(registry, "_versions", away)
    register(checkout, "weights")
    assert f"left out, since {checkout}/dcgan64/{FILES[0]} is gone" in capsys.readouterr().err
    assert kept() == []


def test_the_best_is_marked_anew_whenever_a_version_arrives(checkout, monkeypatch):
    made = registry._new_version

    def away(*_):
        raise ConnectionError("the registry is away")

    for weights, distance in (("a", 3.0), ("b", 0.1), ("c", 5.0)):
        monkeypatch.setattr(registry, "_new_version", away if weights == "b" else made)
        with run_of_weights(weights_of(checkout, weights), "dcgan64") as run:
            judged = {"kid_texture_test": distance, **REAL}
            files = [checkout / "dcgan64" / each for each in FILES]
            run.version(MODEL, "dcgan64", files, SHAPE, judged)
            run.best(MODEL, "kid_texture_test", REAL)
    assert kept() == []  # the third brought the second
    aliases, versions = registry_of(f"sqlite:///{checkout}/mlflow.db")
    best = versions[aliases["best"]]
    assert best.tags["kid_texture_test"] == "0.1"
    assert versions[aliases["dcgan64"]].tags["kid_texture_test"] == "5.0"


def test_a_version_whose_making_was_not_answered_is_not_made_again(checkout, monkeypatch):
    make, retries = mlflow.MlflowClient.create_model_version, []

    def unanswered(*words, **named):
        monkeypatch.setattr(mlflow.MlflowClient, "create_model_version", make)
        retries.append(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"])
        make(*words, **named)
        raise ConnectionError("lost")

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setattr(mlflow.MlflowClient, "create_model_version", unanswered)
    register(checkout, "weights")
    aliases, versions = registry_of(f"sqlite:///{checkout}/mlflow.db")
    assert (aliases, set(versions), retries) == ({"dcgan64": 1}, {1}, ["0"])
    assert versions[1].tags["kid_texture_test"] == "3.0"


def test_weights_that_cannot_be_looked_at_just_now_are_not_taken_for_damaged(checkout, monkeypatch):
    register(checkout, "weights")
    download = mlflow.MlflowClient.download_artifacts

    def failing(*_):
        monkeypatch.setattr(mlflow.MlflowClient, "download_artifacts", download)
        raise ConnectionError("gone for a moment")

    monkeypatch.setattr(mlflow.MlflowClient, "download_artifacts", failing)
    register(checkout, "weights", kid_texture_test=2.0)
    _, versions = registry_of(f"sqlite:///{checkout}/mlflow.db")
    assert set(versions) == {1}
    assert versions[1].tags["kid_texture_test"] == "2.0"


def test_what_was_torn_while_it_was_uploaded_is_uploaded_whole(checkout, monkeypatch):
    upload = mlflow.MlflowClient.log_artifacts

    def torn(client, run_id, folder, path):
        monkeypatch.setattr(mlflow.MlflowClient, "log_artifacts", upload)
        weights = f"data/dcgan64/{FILES[0]}"
        client.log_artifact(run_id, f"{folder}/{weights}", f"{path}/data/dcgan64")
        raise ConnectionError("gone in the middle")

    monkeypatch.setattr(mlflow.MlflowClient, "log_artifacts", torn)
    register(checkout, "weights")
    assert kept() == []
    folder = fetch(f"models:/{MODEL}@dcgan64", checkout / "got")
    assert {file.name for file in folder.iterdir()} == set(FILES)


def test_a_full_disk_loses_no_registration(checkout, monkeypatch):
    with monkeypatch.context() as full:
        full.setattr(tempfile, "tempdir", None)
        for name in ("TMPDIR", "TEMP", "TMP"):
            full.setenv(name, str(checkout / "nowhere"))
        full.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(checkout / "nowhere")])
        register(checkout, "weights")  # FileNotFoundError, as where nothing can be written
    assert len(kept()) == 1
    for file in checkout.glob("[!.m]*/*"):
        file.unlink()
    assert send(connect()) == []
    assert registry_of(f"sqlite:///{checkout}/mlflow.db")[0] == {"dcgan64": 1}


def _register_slowly(folder):
    look_slowly(folder, lambda: time.sleep(1))
    register(Path(folder), "weights")


def test_processes_that_register_the_same_weights_at_once_make_one_version(checkout):
    slow = get_context("spawn").Process(target=_register_slowly, args=(str(checkout),))
    slow.start()
    wait_for(checkout / "looked", 120)
    register(checkout, "weights")
    slow.join()
    aliases, versions = registry_of(f"sqlite:///{checkout}/mlflow.db")
    assert (aliases, set(versions)) == ({"dcgan64": 1}, {1})
    assert kept() == []


def test_what_the_registry_will_never_take_is_told_and_the_run_goes_on(checkout, capsys):
    weights = checkout / "generator.weights.h5"
    weights.write_text("weights")
    with run_of_weights(weights, "dcgan64") as run:
        run.version(MODEL, "latest", [weights] * 3, SHAPE, {})  # which MLflow reserves
        run.metrics({"kid": 1.0})
    (told,) = capsys.readouterr().err.splitlines()
    assert "version of run dcgan64 left out, since it refuses them: " in told
    assert runs_of(f"sqlite:///{checkout}/mlflow.db")[1][0].data.metrics == {"kid": 1.0}
    assert kept() == []
