"""params.yaml is checked before any work: every fault names its key and what is allowed."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from cinegan import params
from cinegan.errors import CineganError
from cinegan.models import dcgan

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "params.yaml"
VALUES = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
REMOVED = object()


def changed(tmp_path: Path, changes: dict[str, object]) -> Path:
    """The shipped file with the values at some dotted paths changed."""
    values = copy.deepcopy(VALUES)
    for path, value in changes.items():
        *above, key = path.split(".")
        block = values
        for part in above:
            block = block[part]
        if value is REMOVED:
            del block[key]
        else:
            block[key] = value
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return file


def fault(tmp_path: Path, changes: dict[str, object]) -> str:
    """The message about a changed file, without the file's own path."""
    file = changed(tmp_path, changes)
    with pytest.raises(CineganError) as refused:
        params.load_params(file)
    lines = str(refused.value).splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines)
    return "\n".join(line.removeprefix(f"{file}: ") for line in lines)


def test_the_shipped_parameters_are_valid_and_come_back_as_written():
    loaded = params.load_params(SHIPPED)
    assert loaded.model_dump(exclude_unset=True) == VALUES
    assert isinstance(loaded.models["dcgan64"].network, dcgan.Network)


def keys_below(values: dict[str, object], prefix: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        found.append(f"{prefix}{key}")
        if isinstance(value, dict):
            found += keys_below(value, f"{prefix}{key}.")
    return found


OF_GROWTH = ("fade_kimg", "stable_kimg")  # needed by some models only, and told otherwise
OPTIONAL = ("data.mirror", "crop.override", *(f"models.{name}" for name in VALUES["models"]))


@pytest.mark.parametrize(
    "key", [k for k in keys_below(VALUES) if k not in OPTIONAL and not k.endswith(OF_GROWTH)]
)
def test_every_shipped_key_is_described_by_the_schema_and_required(tmp_path, key):
    # A key the schema did not know would be refused, and one that it did not need could go.
    assert fault(tmp_path, {key: REMOVED}).startswith(f"{key}: field required")


def test_every_knob_has_a_comment_on_its_line():
    plain = [
        line.strip()
        for line in SHIPPED.read_text(encoding="utf-8").splitlines()
        if not re.match(r"\s*(#|$|\w+:$|(smoke|laptop|reference|full): {)", line)
    ]
    assert len(plain) > 30
    assert [line for line in plain if "# " not in line] == []


@pytest.mark.parametrize(
    ("unknown", "nearest"),
    [
        ("sede", "seed"),
        ("data.sorce", "source"),
        ("data.split.tset", "test"),
        ("data.phantom.slice", "slices"),
        ("crop.box", "box_mm"),
        ("models.dcgan64.inputs", "input"),
        ("models.dcgan64.network.latents", "latent"),
        ("models.dcgan64.network.drop_out", "dropout"),
        ("models.dcgan64.training.batch_size", "batch"),
        ("models.dcgan64.training.lr", "learning_rate"),
        ("models.dcgan64.budgets.labtop", "laptop"),
        ("models.dcgan64.budgets.laptop.total", "total_kimg"),
        ("sample.cycle", "cycles"),
        ("evaluate.extractor", "extractors"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_valid_one(tmp_path, unknown, nearest):
    above, _, key = unknown.rpartition(".")
    expected = f"{above or 'the top level'}: unknown key {key!r}; the nearest valid one is "
    message = fault(tmp_path, {unknown: 1})
    assert message.startswith(expected)
    if key != "lr":  # nothing is near "lr"
        assert message == f"{expected}{nearest!r}"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        # wrong type
        ("seed", "one", "input should be a valid integer (it is 'one')"),
        ("seed", True, "input should be a valid integer (it is True)"),
        ("seed", 1.5, "input should be a valid integer (it is 1.5)"),
        ("data.strict", "yes", "input should be a valid boolean (it is 'yes')"),
        ("data.mirror", 3, "input should be a valid string (it is 3)"),
        ("data.exclude", "SCD0000101", "input should be a valid list (it is 'SCD0000101')"),
        ("crop.box_mm", "150", "input should be a valid number (it is '150')"),
        ("models.dcgan64.training.batch", "32", "must be a whole number from 2 to 4096, or for a "),
        ("models.dcgan64.network.leak", None, "input should be a valid number (it is None)"),
        ("models.dcgan64.network", 5, "input should be a valid dictionary"),
        ("data.split", None, "input should be a valid dictionary"),
        ("models", [], "input should be a valid dictionary"),
        # out of range
        ("seed", -1, "input should be greater than or equal to 0 (it is -1)"),
        ("threads", 0, "input should be greater than or equal to 1 (it is 0)"),
        ("data.phases", 3, "input should be greater than or equal to 8 (it is 3)"),
        ("data.split.val", 1.0, "input should be less than 1 (it is 1.0)"),
        ("data.phantom.size", 4096, "input should be less than or equal to 512 (it is 4096)"),
        ("crop.box_mm", 10, "input should be greater than or equal to 60 (it is 10)"),
        ("crop.box_mm", float("nan"), "input should be a finite number (it is nan)"),
        ("models.dcgan64.training.learning_rate", 0, "input should be greater than 0 (it is 0)"),
        ("models.dcgan64.training.beta_1", 1, "input should be less than 1 (it is 1)"),
        ("models.dcgan64.network.latent", 0, "input should be greater than or equal to 1"),
        ("models.dcgan64.network.dropout", 1.0, "input should be less than 1 (it is 1.0)"),
        ("models.dcgan64.network.generator", [64], "list should have at least 2 items"),
        ("models.dcgan64.budgets.full.total_kimg", -1, "input should be greater than 0"),
        ("sample.cycles", 1, "input should be greater than or equal to 2 (it is 1)"),
        # one of a few words
        ("budget", "huge", "input should be 'smoke', 'laptop', 'reference' or 'full'"),
        ("data.source", "acdc", "input should be 'phantom', 'sunnybrook' or 'folder'"),
        ("evaluate.extractors", [], "list should have at least 1 item"),
        ("models.dcgan64.input", "crop", "input should be 'frame' or 'ventricles'"),
        ("models.dcgan64.conditions", "group", "input should be a valid list (it is 'group')"),
        ("models.dcgan64.conditions", ["level", "level"], "one is named twice"),
        ("sample.groups", ["Normal", "Normal"], "one is named twice"),
        (
            "models.dcgan64.training.precision",
            "fp16",
            "input should be 'auto', 'bfloat16' or 'float32'",
        ),
        ("models.dcgan64.architecture", "dcgam", "no such file in cinegan/models; there are cineg"),
        # what fits together
        ("data.split.test", 0.9, None),
        ("sample.shown", 64, None),
        ("models.dcgan64.folder", "data/cycles", None),
        ("models.dcgan64.input", "frame", None),
        ("models.dcgan64.size", 128, None),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_full_path_and_what_is_allowed(
    tmp_path, key, value, message
):
    across = {
        "data.split.test": "data.split: val and test together must leave a share of patients",
        "sample.shown": "sample: shown must not exceed cycles",
        "models.dcgan64.folder": "models.dcgan64: folder must be data/ventricles for input ventr",
        "models.dcgan64.input": "models.dcgan64: folder must be data/cycles for input frame",
        "models.dcgan64.size": "models.dcgan64: size 128 does not fit: 4 generator filters make 64",
    }
    changes = {key: value, **({"sample.cycles": 8} if key == "sample.shown" else {})}
    expected = across[key] if message is None else f"{key}: {message}"
    assert fault(tmp_path, changes).startswith(expected)


@pytest.mark.parametrize("item", ["", ":3", "SCD1:", "SCD1:x", "SCD1:2:3"])
def test_an_exclusion_is_a_patient_or_a_patient_and_a_slice(tmp_path, item):
    expected = "data.exclude.0: string should match pattern"
    assert fault(tmp_path, {"data.exclude": [item]}).startswith(expected)


@pytest.mark.parametrize("override", [{"P1": [1.0]}, {"P1": [1, 2, 3]}, {"P1": "1, 2"}])
def test_a_box_by_hand_is_a_row_and_a_column(tmp_path, override):
    assert fault(tmp_path, {"crop.override": override}).startswith("crop.override.P1: ")


def test_no_model_at_all_is_refused(tmp_path):
    assert fault(tmp_path, {"models": {}}) == "models: at least one model is needed"


@pytest.mark.parametrize("folder", ["models/dcgan64", "models/other", "data/cycles"])
def test_a_model_starts_from_fresh_weights_or_from_another(tmp_path, folder):
    refused = fault(tmp_path, {"models.dcgan64.start_from": folder})
    allowed = "string should match" if folder == "data/cycles" else "must be models/fresh or models"
    assert refused.startswith(f"models.dcgan64.start_from: {allowed}")
    params.load_params(changed(tmp_path, {"models.dcgan64.start_from": "models/dcgan128"}))


def test_fresh_is_no_name_for_a_model(tmp_path):
    message = fault(tmp_path, {"models.fresh": VALUES["models"]["dcgan64"]})
    assert message == "models: no model can be called fresh: models/fresh is fresh weights"


@pytest.mark.parametrize("name", ["best", "latest", "v2"])
def test_a_model_is_not_called_what_the_registry_means_otherwise(tmp_path, name):
    message = fault(tmp_path, {f"models.{name}": VALUES["models"]["dcgan64"]})
    assert message == f"models: no model can be called {name}: MLflow's registry means another"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study.gan": "nobody"}, "study.gan: no model 'nobody'; there are cinegan64, "),
        ({"study.gan": "dcgan64"}, "study.gan: dcgan64 must make ventricles with labels "),
        ({"study.arms": ["none", "gan"]}, "study.arms: no arm 'gan' here; arms takes none, "),
        (
            {"study.arms": ["rotate"]},
            "study.arms: no arm 'rotate' here; arms takes none, affine, photometric, classical, "
            "gan_arms gan, classical_gan",
        ),
        ({"study.gan_arms": ["none"]}, "study.gan_arms: no arm 'none' here; arms takes none, "),
        ({"study.arms": "none"}, "study.arms: input should be a valid list"),
        ({"study.ratio": 99.0}, "study.ratio: 99 makes 16 of 16 frames of a batch synthetic; "),
        ({"study.segmenter.filters": [1] * 7}, "study.segmenter.filters: so many halvings take a "),
        ({"models.pggan256.budgets.full.fade_kimg": REMOVED},
         "models.pggan256.budgets.full: fade_kimg and stable_kimg are needed: the networks grow"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_told_of_the_key_to_change(tmp_path, changes, message):
    assert fault(tmp_path, changes).startswith(message)


@pytest.mark.parametrize(
    ("kind", "values"), [("group", ["Hypertrophy"]), ("level", ["base", "apex"])]
)
def test_what_no_model_is_told_cannot_be_sampled(tmp_path, kind, values):
    asked = {f"sample.{kind}s": values}
    message = (
        f"sample.{kind}s: no model is told the {kind} of a cycle; add {kind} to the conditions of "
        f"one, or leave sample.{kind}s empty"
    )
    other = {"group": "level", "level": "group"}[kind]
    assert fault(tmp_path, asked) == message
    assert fault(tmp_path, asked | {"models.dcgan64.conditions": [other]}) == message
    params.load_params(changed(tmp_path, asked | {"models.dcgan64.conditions": [kind]}))


GROWING = "models.pggan256"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training.batch": 16}, "training.batch must be a list of 7 numbers, one for each size"),
        ({"training.batch": [16] * 6}, "training.batch must be a list of 7 numbers"),
        ({"training.batch": [16] * 6 + [6]}, "a batch of 6 is not made of whole groups of 4"),
        ({"budgets.full.fade_kimg": REMOVED}, "budgets.full: fade_kimg and stable_kimg are needed"),
        ({"size": 96}, "size 96 does not fit: a progressive GAN doubles from 4 pixels"),
        ({"training.label_flips": 0.1}, "label_smoothing and label_flips go with loss bce only"),
        ({"training.augment_target": 0.6}, "augment_target steers augment, which is empty"),
        ({"training.augment_target": 0.6, "training.augment": ["scale"]}, "with loss bce only"),
        ({"training.loss": "bce"}, "drift goes with loss wasserstein only"),
    ],
)  # fmt: skip
def test_what_a_growing_pair_needs(tmp_path, changes, message):
    told = fault(tmp_path, {f"{GROWING}.{key}": value for key, value in changes.items()})
    assert message in told


def test_what_a_pair_that_does_not_grow_refuses(tmp_path):
    told = fault(tmp_path, {"models.dcgan64.training.batch": [32]})
    assert told == "models.dcgan64: training.batch must be one number: the networks do not grow"
    told = fault(tmp_path, {"models.dcgan64.budgets.full.fade_kimg": 1.0})
    assert "budgets.full: no fade_kimg or stable_kimg: the networks do not grow" in told


def test_a_models_name_is_fit_for_a_folder(tmp_path):
    model = VALUES["models"]["dcgan64"]
    assert "models.../up" in fault(tmp_path, {"models": {"../up": model}})


def test_every_allowed_a_file_has_a_line_of_its_own(tmp_path):
    message = fault(
        tmp_path,
        {"seed": -1, "crop.size": 8, "models.dcgan64.network.leak": 2, "data.phases": REMOVED},
    )
    found = {line.partition(":")[0] for line in message.splitlines()}
    assert found == {"seed", "crop.size", "models.dcgan64.network.leak", "data.phases"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed: [1", "not valid YAML: "),
        (b"seed: 1\n\tbudget: x", "not valid YAML: "),
        (b"seed: \xff\xfe", "not valid YAML: "),
        (b"", "the top level: input should be a valid dictionary"),
        (b"- seed", "the top level: input should be a valid dictionary"),
        (b"just words", "the top level: input should be a valid dictionary"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_in_one_line(tmp_path, content, message):
    file = tmp_path / "params.yaml"
    file.write_bytes(content)
    with pytest.raises(CineganError) as refused:
        params.load_params(file)
    assert str(refused.value).startswith(f"{file}: {message}")
    assert len(str(refused.value).splitlines()) == 1


def test_a_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(CineganError, match="not found; run from the top folder of the project"):
        params.load_params(tmp_path / "params.yaml")


def test_an_unknown_model_is_refused_with_those_there_are():
    loaded = params.load_params(SHIPPED)
    assert loaded.model_named("dcgan64") is loaded.models["dcgan64"]
    with pytest.raises(CineganError, match=r"no model 'pggan' under models; there are dcgan64"):
        loaded.model_named("pggan")


def test_parameters_cannot_be_changed_after_they_were_checked():
    with pytest.raises(ValueError, match="frozen"):
        params.load_params(SHIPPED).seed = 2


def blocks(schema: type[BaseModel]) -> list[type[BaseModel]]:
    below = [b for s in schema.__subclasses__() for b in blocks(s)]
    return [schema, *below]


@pytest.mark.parametrize("block", blocks(params.Strict))
def test_no_block_has_defaults_or_lets_unknown_keys_pass(block):
    assert block.model_config["extra"] == "forbid"
    fields = {name: field for name, field in block.model_fields.items() if name not in OF_GROWTH}
    assert all(field.is_required() for field in fields.values())


def test_checking_the_parameters_loads_no_backend_and_takes_a_moment():
    script = (
        "import sys; from cinegan.params import load_params; load_params()\n"
        "heavy = {'tensorflow', 'keras.src', 'mlflow', 'matplotlib', 'pandas', 'skimage'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_command_says_that_the_file_is_valid(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    params.main()
    assert "params.yaml is valid: source phantom, budget laptop" in capsys.readouterr().out
