"""The schema of params.yaml: every parameter's type and range, checked before any work."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cinegan.errors import CineganError

PARAMS_FILE = Path("params.yaml")

FOLDERS = {"frame": "data/cycles", "ventricles": "data/ventricles"}
FRESH = "models/fresh"  # in the place of a trained model: start from fresh weights

Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Strict(BaseModel):
    """A block of parameters that refuses what it does not know."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    nearest = difflib.get_close_matches(str(key), cls.model_fields, 1, cutoff=0)
                    raise ValueError(
                        f"unknown key {key!r}; the nearest valid one is {nearest[0]!r}"
                    )
        return values


class Split(Strict):
    """Shares of the patients set aside for validation and test."""

    val: Fraction
    test: Fraction

    @model_validator(mode="after")
    def _leave_train_patients(self) -> Split:
        if self.val + self.test >= 1:
            raise ValueError("val and test together must leave a share of patients to train on")
        return self


class Phantom(Strict):
    """The digital cohort."""

    patients_per_group: Annotated[int, Field(ge=1, le=2000)]
    slices: Annotated[int, Field(ge=3, le=30)]
    size: Annotated[int, Field(ge=64, le=512)]


class Data(Strict):
    """Where raw studies come from and how they become cycles."""

    source: Literal["phantom", "sunnybrook", "folder"]
    mirror: str | None
    folder: str
    phases: Annotated[int, Field(ge=8, le=100)]
    spacing_mm: Annotated[float, Field(ge=0.3, le=10)] | None
    exclude: list[Annotated[str, Field(pattern=r"^[^:]+(:(0|[1-9]\d*))?$")]]
    strict: bool
    split: Split
    phantom: Phantom


class Crop(Strict):
    """The square around the ventricles."""

    box_mm: Annotated[float, Field(ge=60, le=400)]
    size: Annotated[int, Field(ge=16, le=512)]
    override: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]]


class NetworkOptions(Strict):
    """Options of a pair of networks; each architecture's file says which.

    Attributes
    ----------
    independent_logits : bool
        Whether the discriminator judges each cycle by itself, without statistics of the batch.
    grows : bool
        Whether the pair begins at a small size, and is made for one size at a time.
    """

    independent_logits: ClassVar[bool] = True
    grows: ClassVar[bool] = False

    def check_size(self, size: int) -> None:
        """Refuse, with a ValueError, a size that the networks cannot have."""

    def check_batch(self, batch: int) -> None:
        """Refuse, with a ValueError, a batch that the networks cannot work on."""

    def sizes(self, size: int) -> list[int]:
        """Sizes that the pair goes through, pixels per side."""
        return [size]


def _once(values: list[Any]) -> list[Any]:
    """Refuse, with a ValueError, a list that names one thing twice."""
    if len(set(values)) < len(values):
        raise ValueError("one is named twice")
    return values


def check_sides(size: int, first_side: int, doublings: int, halvings: int) -> None:
    """Refuse, with a ValueError, a size that so many filters of a pair do not reach.

    The generator's filters begin at `first_side` pixels and double the side from each to the next;
    each of the discriminator's halves it.
    """
    reached = first_side * 2 ** (doublings - 1)
    if size != reached:
        raise ValueError(
            f"size {size} does not fit: {doublings} generator filters make {reached} pixels"
        )
    if size % 2**halvings:
        raise ValueError(f"{halvings} discriminator filters cannot each halve {size} pixels")


BatchSize = Annotated[int, Field(ge=2, le=4096)]


class Training(Strict):
    """How a pair of networks is trained."""

    batch: BatchSize | Annotated[list[BatchSize], Field(min_length=1)]
    learning_rate: Positive
    beta_1: Fraction
    beta_2: Fraction
    epsilon: Positive
    ema_decay: Fraction
    precision: Literal["auto", "bfloat16", "float32"]
    deterministic: bool
    loss: Literal["bce", "wasserstein"]
    label_smoothing: Annotated[float, Field(ge=0, le=0.5)]
    label_flips: Annotated[float, Field(ge=0, le=0.5)]
    input_noise: NotNegative
    input_noise_kimg: Positive
    gradient_penalty: NotNegative
    drift: NotNegative
    r1: NotNegative
    r1_every: Annotated[int, Field(ge=1, le=1024)]
    augment: list[Literal["brightness", "contrast", "translation", "scale", "cutout"]]
    augment_strength: Share
    augment_target: Share | None
    augment_kimg: Positive
    mirror: bool
    warp: Annotated[float, Field(ge=0, le=0.1)]
    warp_kimg: NotNegative

    @field_validator("batch", mode="wrap")
    @classmethod
    def _one_or_a_list(cls, batch: Any, check: Callable[[Any], Any]) -> Any:
        try:
            return check(batch)
        except ValidationError:
            raise ValueError(
                "must be a whole number from 2 to 4096, or for a pair that grows a list of them "
                f"(it is {batch!r})"
            ) from None

    @model_validator(mode="after")
    def _options_belong_to_their_loss(self) -> Training:
        if self.loss != "bce" and (self.label_smoothing or self.label_flips):
            raise ValueError("label_smoothing and label_flips go with loss bce only")
        if self.loss != "wasserstein" and self.drift:
            raise ValueError("drift goes with loss wasserstein only")
        return self

    @model_validator(mode="after")
    def _a_target_needs_what_it_steers_and_what_it_measures(self) -> Training:
        if self.augment_target is not None and not self.augment:
            raise ValueError("augment_target steers augment, which is empty")
        if self.augment_target is not None and self.loss != "bce":
            raise ValueError("augment_target goes with loss bce only: other scores have no zero")
        return self


class Budget(Strict):
    """How long a model trains; a pair that grows also says for how long at each size."""

    total_kimg: Positive
    snapshot_kimg: Positive
    fade_kimg: Positive | None = None
    stable_kimg: Positive | None = None


class Budgets(Strict):
    """One model's lengths of training, one per budget."""

    smoke: Budget
    laptop: Budget
    reference: Budget
    full: Budget


class Model(Strict):
    """One entry under `models`."""

    architecture: str
    input: Literal["frame", "ventricles"]
    folder: str
    size: Annotated[int, Field(ge=4, le=512)]
    labels: Literal["none", "moments", "phases"]
    conditions: list[Literal["group", "level"]]
    start_from: Annotated[str, Field(pattern=r"^models/[a-z][a-z0-9_]*$")]
    network: Any
    training: Training
    budgets: Budgets

    @property
    def sizes(self) -> list[int]:
        """Sizes that the model goes through, pixels per side."""
        return self.network.sizes(self.size)

    @field_validator("conditions")
    @classmethod
    def _each_once(cls, conditions: list[str]) -> list[str]:
        return _once(conditions)

    @field_validator("architecture")
    @classmethod
    def _must_be_a_file(cls, architecture: str) -> str:
        if architecture not in architectures():
            raise ValueError(
                f"no such file in cinegan/models; there are {', '.join(architectures())}"
            )
        return architecture

    @model_validator(mode="after")
    def _match_input_and_folder(self) -> Model:
        # DVC needs the folder spelt out to know what a model depends on.
        if self.folder != FOLDERS[self.input]:
            raise ValueError(f"folder must be {FOLDERS[self.input]} for input {self.input}")
        return self

    @model_validator(mode="after")
    def _check_network(self) -> Model:
        if not isinstance(self.network, NetworkOptions):
            return self  # not of its architecture's form, which is told elsewhere
        self.network.check_size(self.size)
        batch = self.training.batch
        for one in batch if isinstance(batch, list) else [batch]:
            self.network.check_batch(one)
        return self

    @model_validator(mode="after")
    def _check_growth(self) -> Model:
        if not isinstance(self.network, NetworkOptions):
            return self
        batch, sizes = self.training.batch, self.sizes
        named = {name: getattr(self.budgets, name) for name in Budgets.model_fields}
        if not self.network.grows:
            if isinstance(batch, list):
                raise ValueError("training.batch must be one number: the networks do not grow")
            for name, budget in named.items():
                if budget.fade_kimg or budget.stable_kimg:
                    raise ValueError(
                        f"budgets.{name}: no fade_kimg or stable_kimg: the networks do not grow"
                    )
            return self
        if not isinstance(batch, list) or len(batch) != len(sizes):
            raise ValueError(
                f"training.batch must be a list of {len(sizes)} numbers, one for each size from "
                f"{sizes[0]} to {sizes[-1]}"
            )
        for name, budget in named.items():
            if budget.fade_kimg is None or budget.stable_kimg is None:
                raise ValueError(
                    f"budgets.{name}: fade_kimg and stable_kimg are needed: the networks grow"
                )
        return self


class Sample(Strict):
    """Drawing from a trained generator."""

    cycles: Annotated[int, Field(ge=2, le=1_000_000)]
    shown: Annotated[int, Field(ge=1, le=64)]
    groups: list[str]
    levels: list[Literal["base", "mid", "apex"]]

    @field_validator("groups", "levels")
    @classmethod
    def _each_once(cls, values: list[str]) -> list[str]:
        return _once(values)

    @model_validator(mode="after")
    def _show_what_is_drawn(self) -> Sample:
        if self.shown > self.cycles:
            raise ValueError("shown must not exceed cycles")
        return self


class Evaluate(Strict):
    """Judging synthetic cycles."""

    extractors: Annotated[
        list[Literal["texture", "motion", "patches", "cardiac"]], Field(min_length=1)
    ]
    extrapolate: bool
    encoder_steps: Annotated[int, Field(ge=1, le=1_000_000)]
    inception: Literal["auto", "required", "skip"]
    inception_weights: Path | None

    @field_validator("extractors")
    @classmethod
    def _each_once(cls, extractors: list[str]) -> list[str]:
        if len(set(extractors)) < len(extractors):
            raise ValueError("an extractor is named twice")
        return extractors

    @property
    def names(self) -> list[str]:
        """All extractors, Inception-v3 included where it is wanted."""
        return [*self.extractors, *(["inception"] if self.inception != "skip" else [])]

    @property
    def required(self) -> list[str]:
        """Extractors whose lack is an error, not a null."""
        asked = self.inception == "required" or self.inception_weights is not None
        return ["cardiac", *(["inception"] if asked else [])]


class Affine(Strict):
    """How far labelled cycles are moved; 0 leaves a kind out."""

    rotation_deg: Annotated[float, Field(ge=0, le=180)]
    translation_mm: Annotated[float, Field(ge=0, le=100)]
    scale: Share
    shear_deg: Annotated[float, Field(ge=0, le=45)]
    elastic_mm: Annotated[float, Field(ge=0, le=50)]


class Photometric(Strict):
    """How far a scanner's picture is changed; 0 leaves a kind out."""

    brightness: Share
    contrast: Share
    gamma: Share
    shading: Share
    noise: Share
    blur_mm: Annotated[float, Field(ge=0, le=20)]


class Segmenter(Strict):
    """The network that learns to outline ventricles, and for how long."""

    filters: Annotated[list[Annotated[int, Field(ge=1, le=1024)]], Field(min_length=2)]
    batch: Annotated[int, Field(ge=2, le=1024)]
    steps: Annotated[int, Field(ge=1, le=1_000_000)]
    learning_rate: Positive


STUDY_ARMS = {  # of real frames; of synthetic ones, too
    "arms": ("none", "affine", "photometric", "classical"),
    "gan_arms": ("gan", "classical_gan"),
}


class Study(Strict):
    """The augmentation study."""

    gan: str
    arms: Annotated[list[str], Field(min_length=1)]
    gan_arms: list[str]
    shares: Annotated[list[Annotated[int, Field(ge=1, le=100)]], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, le=1000)]], Field(min_length=1)]
    protocol: Literal["split", "leave_one_out"]
    ratio: NotNegative
    augmented: Share
    affine: Affine
    photometric: Photometric
    segmenter: Segmenter

    @field_validator("arms", "gan_arms", mode="before")
    @classmethod
    def _arms_there_are(cls, values: Any, about: ValidationInfo) -> Any:
        known = STUDY_ARMS[str(about.field_name)]
        for arm in values if isinstance(values, list) else ():
            if arm not in known:
                raise ValueError(
                    f"no arm {arm!r} here; arms takes {', '.join(STUDY_ARMS['arms'])}, gan_arms "
                    f"{', '.join(STUDY_ARMS['gan_arms'])}"
                )
        return values

    @field_validator("arms", "gan_arms", "shares", "seeds")
    @classmethod
    def _each_once(cls, values: list[Any]) -> list[Any]:
        return _once(values)


class Params(Strict):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]
    budget: Literal["smoke", "laptop", "reference", "full"]
    threads: Annotated[int, Field(ge=1, le=1024)]
    devices: Literal["one", "all", "workers"]
    data: Data
    crop: Crop
    models: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Model]
    sample: Sample
    evaluate: Evaluate
    study: Study

    @field_validator("models")
    @classmethod
    def _at_least_one(cls, models: dict[str, Model]) -> dict[str, Model]:
        if not models:
            raise ValueError("at least one model is needed")
        if Path(FRESH).name in models:
            raise ValueError(f"no model can be called {Path(FRESH).name}: {FRESH} is fresh weights")
        for name, model in models.items():
            if re.fullmatch(r"best|latest|v\d+", name):
                raise ValueError(f"no model can be called {name}: MLflow's registry means another")
            others = [f"models/{other}" for other in models if other != name]
            if model.start_from not in [FRESH, *others]:
                raise ValueError(
                    f"{name}.start_from: must be {' or '.join([FRESH, *others])} "
                    f"(it is {model.start_from!r})"
                )
        return models

    @model_validator(mode="after")
    def _a_model_is_told_what_is_sampled(self) -> Params:
        for kind, asked in (("group", self.sample.groups), ("level", self.sample.levels)):
            if asked and not any(kind in model.conditions for model in self.models.values()):
                raise ValueError(
                    f"sample.{kind}s: no model is told the {kind} of a cycle; add {kind} to the "
                    f"conditions of one, or leave sample.{kind}s empty"
                )
        return self

    @model_validator(mode="after")
    def _study_takes_a_model_of_ventricles(self) -> Params:
        model = self.models.get(self.study.gan)
        if model is None:
            raise ValueError(
                f"study.gan: no model {self.study.gan!r}; there are {', '.join(self.models)}"
            )
        side = 2 ** len(self.study.segmenter.filters)
        if model.size % side:
            raise ValueError(
                f"study.segmenter.filters: so many halvings take a multiple of {side} pixels, not "
                f"{model.size} ({self.study.gan}'s)"
            )
        anew = self.study.protocol == "leave_one_out" or self.study.shares != [100]
        if anew and model.start_from != FRESH:
            raise ValueError(
                f"study.gan: {self.study.gan} starts from {model.start_from}, which saw patients "
                f"that the study leaves out; set its start_from to {FRESH}"
            )
        count = round(self.study.segmenter.batch * self.study.ratio / (1 + self.study.ratio))
        if self.study.gan_arms and not 1 <= count < self.study.segmenter.batch:
            raise ValueError(
                f"study.ratio: {self.study.ratio:g} makes {count} of {self.study.segmenter.batch} "
                "frames of a batch synthetic; at least one must be, and one real"
            )
        if self.study.gan_arms and (model.input != "ventricles" or model.labels == "none"):
            raise ValueError(
                f"study.gan: {self.study.gan} must make ventricles with labels (moments or phases) "
                f"for the arms {', '.join(self.study.gan_arms)}"
            )
        return self

    def model_name(self, arguments: Sequence[str]) -> str:
        """Name of the one model that a command's arguments ask for.

        Raises
        ------
        CineganError
            If they do not name exactly one of those there are.
        """
        if len(arguments) != 1:
            raise CineganError(f"name one model: {', '.join(self.models)}")
        self.model_named(arguments[0])
        return arguments[0]

    def model_named(self, name: str) -> Model:
        """Return the block of model `name`.

        Raises
        ------
        CineganError
            Where there is no such block; the message names those there are.
        """
        if name not in self.models:
            known = ", ".join(self.models)
            raise CineganError(f"{PARAMS_FILE}: no model {name!r} under models; there are {known}")
        return self.models[name]


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check the parameters.

    Raises
    ------
    CineganError
        One line per fault, each with the key's full path and what is allowed there.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CineganError(f"{path}: not found; run from the top folder of the project") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise CineganError(f"{path}: not valid YAML: {reason}") from None
    faults: list[str] = []
    for name, block in _blocks(values, "models").items():
        # The options of a network belong to its own file, so that a new GAN is one file.
        if block.get("architecture") in architectures() and "network" in block:
            module = importlib.import_module(f"cinegan.models.{block['architecture']}")
            prefix = f"models.{name}.network"
            block["network"] = _checked(module.Network, block["network"], path, prefix, faults)
    params = _checked(Params, values, path, "", faults)
    if faults:
        raise CineganError("\n".join(faults))
    return params


def architectures() -> list[str]:
    """Names of the files in cinegan/models that hold an architecture."""
    return sorted(path.stem for path in Path(__file__).with_name("models").glob("[!_]*.py"))


def _blocks(values: Any, key: str) -> dict[str, dict[str, Any]]:
    """The mappings below `key`, as far as they are mappings; the schema refuses the rest."""
    found = values.get(key) if isinstance(values, dict) else None
    return (
        {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}
    )


def _checked(schema: type[Strict], values: Any, path: Path, prefix: str, faults: list[str]) -> Any:
    """Validate a block; add a line per fault to `faults` and give the block back as it was."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        faults += [_explain(path, prefix, fault) for fault in error.errors(include_url=False)]
        return values


def _explain(path: Path, prefix: str, fault: Any) -> str:
    """One line for one fault that pydantic found."""
    parts = [str(part) for part in [prefix, *fault["loc"]] if part != ""]
    message = fault["msg"].removeprefix("Value error, ")
    # A check of a whole block names the key below it whose fault it is: "study.gan: no model ...".
    if below := re.match(r"(\w+(?:\.\w+)*): ", message):
        parts.append(below[1])
        message = message[below.end() :]
    key = ".".join(parts) or "the top level"
    allowed = message[:1].lower() + message[1:]
    given = "" if fault["type"] in ("value_error", "missing") else f" (it is {fault['input']!r})"
    return f"{path}: {key}: {allowed}{given}"


def main(_: object = None) -> None:
    """Check params.yaml and say so."""
    params = load_params()
    print(
        f"{PARAMS_FILE} is valid: source {params.data.source}, budget {params.budget}, "
        f"models {', '.join(params.models)}"
    )


if __name__ == "__main__":
    from cinegan.errors import run_command

    run_command(main)
