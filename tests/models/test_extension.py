"""A network of one file, as docs/models.md shows it, trains."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import yaml

import cinegan.models
from cinegan.params import load_params
from cinegan.training import loop
from cinegan.training.schedule import Level

ROOT = Path(__file__).parents[2]


def test_the_file_of_the_documentation_trains(monkeypatch):
    text = (ROOT / "docs/models.md").read_text(encoding="utf-8").partition("## Add a GAN")[2]
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    options = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])["network"]
    module = ModuleType("cinegan.models.perceptron")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cinegan.models, "perceptron", module, raising=False)
    exec(compile(code, "perceptron.py", "exec"), module.__dict__)
    model = load_params(ROOT / "params.yaml").model_named("dcgan64")
    record = model.model_dump(exclude={"budgets"})
    record |= {"architecture": "perceptron", "network": options, "size": 16}
    record |= {"phases": 6, "seed": 1, "threads": 2}
    network = module.Network.model_validate(options)
    model = model.model_copy(update={"architecture": "perceptron", "network": network, "size": 16})
    level = Level(size=16, fading=False, batch=4, first=0, steps=10, images=0)
    cycles = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 6), np.uint8)
    step = loop.prepare(level, model, record, lambda size: cycles)
    before = step.pair.generator.get_weights()[0].copy()
    for _ in range(2):
        metrics, _ = step()
    assert np.isfinite(metrics).all()
    assert not np.array_equal(before, step.pair.generator.get_weights()[0])
