"""Where the main checkout is, also from the copies that DVC makes."""

from pathlib import Path

import pytest

from cinegan.workspace import main_checkout


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("/home/ann/cinegan", "/home/ann/cinegan"),
        ("/home/ann/cinegan/.dvc/tmp/exps/standalone/tmp1", "/home/ann/cinegan"),
        ("/home/ann/cinegan/.dvc/tmp/exps/tmp1/stages", "/home/ann/cinegan"),
        ("/home/ann/cinegan/.dvc/tmp", "/home/ann/cinegan/.dvc/tmp"),
        ("/tmp/exps/.dvc/cinegan", "/tmp/exps/.dvc/cinegan"),
    ],
)
def test_main_checkout_is_found_from_itself_and_from_experiment_copies(start, expected):
    assert main_checkout(Path(start)) == Path(expected)


def test_main_checkout_starts_from_the_working_folder(tmp_path, monkeypatch):
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "x"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert main_checkout() == tmp_path.resolve()
