"""What the command tells of every model of params.yaml is what its networks and schedules are."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from imports import ROOT
from PIL import Image

from cinegan.data.cohort import PatientCycles, write_cohort
from cinegan.data.labels import channels
from cinegan.errors import CineganError
from cinegan.models.__main__ import main
from cinegan.params import load_params
from cinegan.training.cost import flops_per_image, passes
from cinegan.training.networks import build_discriminator, build_generator
from cinegan.training.schedule import Schedule

PARAMS = load_params(ROOT / "params.yaml")
SIZES = [(name, None) for name in PARAMS.models] + [("pggan256", 4), ("pggan256", 32)]


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch):
    monkeypatch.chdir(ROOT)


def told(capsys, *arguments):
    """Paragraphs that the command prints, each a list of lines."""
    main(arguments)
    return [part.splitlines() for part in capsys.readouterr().out.strip().split("\n\n")]


def numbers(lines, title):
    """A column of numbers of a table: its rows, then its total."""
    end = lines[0].index(title) + len(title)
    cells = [line[:end].split()[-1].replace(",", "") for line in lines[2:]]
    return [float(cell) for cell in cells[:-1]], float(cells[-1])


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_totals_are_those_of_the_networks(name, size, capsys):
    model = PARAMS.models[name]
    size = size or model.size
    record = model.model_dump() | {"phases": PARAMS.data.phases, "size": size}
    if model.labels == "moments":
        record["label_channels"] = channels("expert", PARAMS.data.phases)
    networks = build_generator(record), build_discriminator(record)
    head, *tables, work, schedule = told(capsys, name, "--size", str(size))
    assert head == [f"{name}: {model.architecture} at {size}x{size}, {PARAMS.data.phases} phases"]
    for network, table in zip(networks, tables, strict=True):
        assert table[0].startswith(network.name)
        rows, total = numbers(table, "parameters")
        assert sum(rows) == total == network.count_params()
        rows, total = numbers(table, "MFLOP")
        assert total == pytest.approx(flops_per_image(network) / 1e6, abs=0.05)
        assert sum(rows) == pytest.approx(total, abs=0.06 * len(rows))
    g, d = passes(model.training, model.network)
    gflop = (g * flops_per_image(networks[0]) + d * flops_per_image(networks[1])) / 1e9
    assert f"{g:.3g} forward passes of the generator and {d:.3g} of the" in work[0]
    assert f"{gflop:.2f} GFLOP" in work[0]
    assert schedule[0].startswith(f"budget {PARAMS.budget}")


@pytest.mark.parametrize("budget", ["smoke", "full"])
def test_the_schedule_is_that_of_the_training(budget, capsys):
    model = PARAMS.models["pggan256"]
    schedule = Schedule.of(model, getattr(model.budgets, budget))
    table = told(capsys, "pggan256", "--size", "4", "--budget", budget)[-1]
    assert len(table) == 2 + len(schedule.levels) + 1
    assert table[3].split()[:4] == ["8x8", "0", "to", "1"]
    assert numbers(table, "steps") == (
        [level.steps for level in schedule.levels],
        schedule.steps,
    )
    rows, total = numbers(table, "to kimg")
    assert rows[-1] == total == schedule.kimg(schedule.steps)


def test_what_a_model_is_told_is_told_and_counted(capsys, tmp_path, monkeypatch):
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values["models"]["dcgan64"]["conditions"] = ["group", "level"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CineganError, match="`dvc repro` makes the cycles first"):
        main(["dcgan64"])
    row = {"patient": "A", "split": "train", "pathology": "Normal"}
    rows = [row | {"row": k} for k in range(3)]
    write_cohort(
        tmp_path / "data/ventricles", [PatientCycles("A", np.zeros((3, 4, 4, 2), np.int16), rows)]
    )
    head, generator, discriminator, *_ = told(capsys, "dcgan64")
    expected = "group Normal, level base, level mid, level apex"
    assert head[0].endswith(f"20 phases; told of each cycle: {expected}")
    assert "104" in generator[2]
    assert "64x64x24" in discriminator[2]


def test_a_model_or_size_that_does_not_exist_is_refused_before_anything_is_told(capsys):
    with pytest.raises(CineganError, match=r"no model 'dcgan65' .*; there are dcgan64, "):
        main(["dcgan64", "dcgan65"])
    with pytest.raises(CineganError, match=r"dcgan64: no networks of size 32; .* those of 64$"):
        main(["pggan256", "dcgan64", "--size", "32"])
    assert capsys.readouterr().out == ""


def test_drawings_are_the_same_bytes_twice_and_show_something(tmp_path):
    for folder in ("a", "b"):
        main(["dcgan64", "--draw", str(tmp_path / folder)])
        main(["pggan256", "--size", "8", "--budget", "smoke", "--draw", str(tmp_path / folder)])
    drawn = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert drawn == ["dcgan64.png", "pggan256-smoke.png", "pggan256.png"]
    for name in drawn:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        picture = np.asarray(Image.open(tmp_path / "a" / name).convert("L"))
        assert picture.max() == 255
        assert (picture < 128).mean() > 0.005


def test_the_pictures_of_the_docs_are_of_these_networks_and_schedules(tmp_path):
    main(["--budget", "laptop", "--budget", "full", "--draw", str(tmp_path)])
    drawn = sorted(tmp_path.iterdir())
    assert len(drawn) == len(PARAMS.models) + 2
    for path in drawn:
        now, shown = (
            np.asarray(Image.open(each).convert("L"), dtype=float)
            for each in (path, ROOT / "docs" / "media" / path.name)
        )
        assert now.shape == shown.shape, f"{path.name}: draw it again, as docs/models.md says"
        assert abs(now - shown).mean() < 0.5, f"{path.name}: draw it again, as docs/models.md says"
