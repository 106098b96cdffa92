"""The command line."""

import pytest
from imports import ROOT

from cinegan.errors import CineganError
from cinegan.export.__main__ import main
from cinegan.files import read_json, write_json


def test_it_writes_and_says_what(project, capsys):
    main(["cinegan64", "--out", "made", "--cycles", "1", "--dataset-id", "501"])
    told = capsys.readouterr().out
    assert told.startswith("1 cycles in made: 21 DICOM files, 2 4D NIfTI files, 2 nnU-Net cases")
    assert (project / "made/nnunet/Dataset501_cinegan64/dataset.json").is_file()


def test_noise_is_warned_of(project, capsys):
    metrics = project / "metrics/models/cinegan64.json"
    metrics.parent.mkdir(parents=True)
    noise = read_json(ROOT / "metrics/models/dcgan128.json")
    write_json(metrics, noise | {"n_synthetic": 3, "size": 64})
    main(["cinegan64", "--out", "made", "--cycles", "1", "--formats", "arrays"])
    warning = capsys.readouterr().out.splitlines()[-1]
    assert warning.startswith("warning: these samples are not like real hearts")
    assert warning.removeprefix("warning: ") in (project / "made/CARD.md").read_text()


def test_cycles_of_a_model_without_labels_are_asked_for_as_such(project, capsys):
    with pytest.raises(CineganError, match="label channels asked of a model trained without them"):
        main(["dcgan64", "--out", "made"])
    assert not (project / "made").exists()
    main(["dcgan64", "--out", "made", "--without-labels", "--formats", "nifti"])
    assert sorted(p.name for p in (project / "made").iterdir()) == ["CARD.md", "card.json", "nifti"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody", "--out", "made"], "no model 'nobody' under models; there are dcgan64"),
        (["cinegan64", "--out", "data"], "data: exists already"),
        (["cinegan64", "--out", "made", "--formats", "png"], "no format 'png'; there are dicom"),
        (["cinegan64", "--out", "made", "--cycles", "9"], "9 cycles asked for, there are 3"),
    ],
)
def test_bad_input_gets_one_line(project, arguments, message):
    with pytest.raises(CineganError, match=message) as raised:
        main(arguments)
    assert "\n" not in str(raised.value)
    assert not (project / "made").exists()


@pytest.mark.parametrize("more", [["--cycles", "0"], ["--dataset-id", "1000"], []])
def test_usage_is_checked(project, more, capsys):
    with pytest.raises(SystemExit):
        main(["cinegan64", *(["--out", "made"] if more else []), *more])
    assert "usage:" in capsys.readouterr().err
