"""A command ends in one line and status 1 on a user's fault, and in a traceback on a bug."""

import errno
import os
import subprocess
import sys

import pytest

from cinegan.errors import CineganError, explain_os_error, run_command


def os_error(number, filename=None):
    return OSError(number, os.strerror(number), filename)


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (CineganError("a.zip: damaged; fetch it anew"), "error: a.zip: damaged; fetch it anew"),
        (os_error(errno.ENOSPC, "out"), "error: out: the disk is full"),
        (os_error(errno.EACCES, "out"), "error: out: cannot be written or read here"),
        (os_error(errno.ENOENT, "in.csv"), "error: in.csv: not found; `dvc repro` makes"),
        (os_error(errno.ENOTDIR, "out"), "error: out: Not a directory; something else stands"),
        (KeyboardInterrupt(), "interrupted: nothing half-written was left behind"),
    ],
)
def test_a_users_fault_ends_the_command_with_one_line(monkeypatch, fault, line):
    def main(_):
        raise fault

    monkeypatch.setattr(sys, "argv", ["stage"])
    with pytest.raises(SystemExit) as ended:
        run_command(main)
    assert str(ended.value.code).startswith(line)
    assert len(str(ended.value.code).splitlines()) == 1


def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["stage"])
    with pytest.raises(ZeroDivisionError):
        run_command(lambda _: 1 // 0)


def test_a_command_gets_its_arguments(monkeypatch):
    given = []
    monkeypatch.setattr(sys, "argv", ["stage", "dcgan64"])
    run_command(given.extend)
    assert given == ["dcgan64"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (os_error(errno.ENOSPC), "an output: the disk is full"),
        (os_error(errno.EDQUOT, "x"), "x: the disk is full"),
        (os_error(errno.EROFS, "x"), "x: cannot be written"),
        (os_error(errno.EISDIR, "x"), "x: Is a directory; something else stands in its place"),
        (os_error(errno.EIO, "x"), "x: Input/output error"),
        (OSError("odd"), "an output: odd"),
    ],
)
def test_every_refusal_of_the_system_says_what_and_where(error, expected):
    assert explain_os_error(error).startswith(expected)


def test_the_shell_sees_status_1_and_a_single_line_on_stderr():
    script = (
        "from cinegan.errors import CineganError, run_command\n"
        "def main(_): raise CineganError('x: broken; mend it')\n"
        "run_command(main)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"error: x: broken; mend it\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_device_that_is_full_is_reported_as_such():
    with pytest.raises(OSError) as raised, open("/dev/full", "w") as full:  # noqa: PTH123
        full.write("x")
        full.flush()
    assert "the disk is full" in explain_os_error(raised.value)


def test_who_stops_reading_stops_the_command_without_a_word():
    program = "from cinegan.errors import run_command; run_command(lambda _: print('x\\n' * 99999))"
    read = subprocess.run(
        f'{sys.executable} -c "{program}" | head -1; echo ${{PIPESTATUS[0]}}',
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=True,
    )
    assert read.stdout.split() == ["x", "141"]
    assert read.stderr == ""


def test_another_pipe_that_breaks_is_told():
    program = (
        "import os\nfrom cinegan.errors import run_command\nreads, writes = os.pipe()\n"
        "os.close(reads)\nrun_command(lambda _: os.write(writes, b'x'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == "error: an output: Broken pipe\n"
