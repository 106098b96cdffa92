"""Bringing the archives: whole and checked, from a folder or over HTTP, or one line of why."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from cinegan.data import sunnybrook
from cinegan.data.sunnybrook import Source, bring, mirror_sources
from cinegan.errors import CineganError

FILES = {"SCD_IMAGES_01.zip": b"images" * 20_000, "scd_patientdata.csv": b"PatientID\n"}


def digest(content):
    return hashlib.sha256(content).hexdigest()


SUMS = "".join(f"{digest(content)}  {name}\n" for name, content in FILES.items())


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    (folder / "SHA256SUMS").write_text(SUMS)
    (folder / "README.md").write_text("not listed, so not offered")
    return folder


@pytest.fixture
def server(monkeypatch):
    """A web server on loopback: `files` by path, `asked` counts requests, `address` is its base."""
    monkeypatch.setattr("time.sleep", lambda _: None)  # between retries

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked[self.path] += 1
            content = self.server.files.get(self.path)
            if isinstance(content, list):  # one answer after the other
                content = content.pop(0) if len(content) > 1 else content[0]
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.asked = Counter()
        httpd.files = {f"/scd/{name}": content for name, content in FILES.items()}
        httpd.files["/scd/SHA256SUMS"] = SUMS.encode()
        httpd.address = f"http://127.0.0.1:{httpd.server_port}/scd"
        thread = threading.Thread(target=lambda: httpd.serve_forever(poll_interval=0.02))
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


def test_the_official_files_are_seven_well_formed_addresses_and_hashes():
    sources = sunnybrook.official_sources()
    assert sorted(sources) == [
        *(f"SCD_IMAGES_0{i}.zip" for i in range(1, 6)),
        "SCD_ManualContours.zip",
        "scd_patientdata.csv",
    ]
    assert all(re.fullmatch(r"[0-9a-f]{64}", source.sha256) for source in sources.values())
    assert len({source.sha256 for source in sources.values()}) == 7
    queries = [
        parse_qs(urlsplit(s.address).query, keep_blank_values=True) for s in sources.values()
    ]
    assert all(urlsplit(s.address).scheme == "https" for s in sources.values())
    assert all(urlsplit(s.address).hostname == "www.cardiacatlas.org" for s in sources.values())
    assert sorted(q["id"][0] for q in queries) == ["100", "101", "102", "61", "66", "98", "99"]
    assert all(re.fullmatch(r"\w{32}", q["token"][0]) for q in queries)
    assert all("download" in q for q in queries)


@pytest.mark.parametrize("written", ["absolute", "relative", "with a slash"])
def test_a_mirror_folder_is_taken_relative_to_the_checkout(mirror, tmp_path, written):
    name = {"absolute": str(mirror), "relative": "../mirror", "with a slash": "../mirror/"}[written]
    (tmp_path / "checkout").mkdir()
    sources = mirror_sources(name, tmp_path / "checkout")
    assert sorted(sources) == sorted(FILES)
    bring(sources, tmp_path / "raw")
    assert {p.name: p.read_bytes() for p in (tmp_path / "raw").iterdir()} == FILES


def test_what_is_whole_is_kept_what_is_not_is_brought_anew_and_all_else_goes(mirror, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "scd_patientdata.csv").write_bytes(FILES["scd_patientdata.csv"])
    (raw / "SCD_IMAGES_01.zip").write_bytes(b"half")
    (raw / "SCD_IMAGES_02.zip").write_text("of another mirror")
    (raw / ".SCD_IMAGES_01.zip.partial.zip").write_text("of a killed run")
    before = (raw / "scd_patientdata.csv").stat().st_mtime_ns
    said = []
    bring(mirror_sources(str(mirror), tmp_path), raw, said.append)
    assert {p.name: p.read_bytes() for p in raw.iterdir()} == FILES
    assert (raw / "scd_patientdata.csv").stat().st_mtime_ns == before
    assert said == ["scd_patientdata.csv: already here, intact"]


def test_a_file_that_differs_from_the_mirrors_sums_is_refused_and_not_left(mirror, tmp_path):
    (mirror / "SCD_IMAGES_01.zip").write_bytes(b"changed")
    with pytest.raises(CineganError, match=r"SCD_IMAGES_01.zip: its SHA-256 differs from the mir"):
        bring(mirror_sources(str(mirror), tmp_path), tmp_path / "raw")
    assert names(tmp_path / "raw") == []


def test_a_file_that_a_mirror_lists_and_lacks_is_said_so(mirror, tmp_path):
    (mirror / "SCD_IMAGES_01.zip").unlink()
    with pytest.raises(CineganError, match=r"SCD_IMAGES_01.zip: not found, though the mirror's"):
        bring(mirror_sources(str(mirror), tmp_path), tmp_path / "raw")
    assert names(tmp_path / "raw") == []


@pytest.mark.parametrize("name", ["nowhere", "mirror/README.md", "file:///mirror"])
def test_a_mirror_that_is_none_is_refused_in_one_line(mirror, tmp_path, name):
    with pytest.raises(CineganError, match=r"data.mirror: .*SHA256SUMS not found; a mirror is a"):
        mirror_sources(name, tmp_path)


GOOD = digest(b"x")


@pytest.mark.parametrize(
    "sums",
    [
        "",
        "\n\n",
        "no sums at all",
        f"{GOOD[:-1]}  a.zip",
        f"{'z' * 64}  a.zip",
        GOOD,
        f"{GOOD}  ../a.zip",
        f"{GOOD}  /etc/passwd",
        f"{GOOD}  .hidden",
        f"{GOOD}  ok.zip\nbroken line",
        b"\xff\xfe\x00",
    ],
)
def test_malformed_sums_are_refused_in_one_line(mirror, tmp_path, sums):
    (mirror / "SHA256SUMS").write_bytes(sums if isinstance(sums, bytes) else sums.encode())
    with pytest.raises(CineganError, match="SHA256SUMS: ") as refused:
        mirror_sources(str(mirror), tmp_path)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("line", ["{}  a.zip", "{} *a.zip", "{}  a.zip\r", "\n{}  a.zip\n\n"])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_sums_are_read_as_sha256sum_writes_them(mirror, tmp_path, line, case):
    (mirror / "SHA256SUMS").write_text(line.format(case(GOOD)))
    (source,) = mirror_sources(str(mirror), tmp_path).values()
    assert source == Source(f"{mirror}/a.zip", GOOD)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_web_mirror_brings_all_files_and_no_file_twice(server, tmp_path, slash):
    for _ in range(2):
        bring(mirror_sources(server.address + slash, tmp_path), tmp_path / "raw")
    assert {p.name: p.read_bytes() for p in (tmp_path / "raw").iterdir()} == FILES
    assert server.asked == {
        "/scd/SHA256SUMS": 2, "/scd/SCD_IMAGES_01.zip": 1, "/scd/scd_patientdata.csv": 1
    }  # fmt: skip


def test_a_damaged_download_is_tried_again(server, tmp_path):
    server.files["/scd/SCD_IMAGES_01.zip"] = [b"damaged", FILES["SCD_IMAGES_01.zip"]]
    bring(mirror_sources(server.address, tmp_path), tmp_path / "raw")
    assert (tmp_path / "raw" / "SCD_IMAGES_01.zip").read_bytes() == FILES["SCD_IMAGES_01.zip"]
    assert server.asked["/scd/SCD_IMAGES_01.zip"] == 2


@pytest.mark.parametrize(
    ("answer", "why"), [(b"another file", "has another SHA-256"), (None, "404")]
)
@pytest.mark.parametrize("before", [None, b"an older file"])
def test_a_download_that_fails_ends_in_one_line_and_leaves_no_file(
    server, tmp_path, answer, why, before
):
    server.files["/scd/SCD_IMAGES_01.zip"] = answer
    raw = tmp_path / "raw"
    raw.mkdir()
    if before:
        (raw / "SCD_IMAGES_01.zip").write_bytes(before)
    with pytest.raises(CineganError) as refused:
        bring(mirror_sources(server.address, tmp_path), raw)
    message = str(refused.value)
    assert message.startswith(f"SCD_IMAGES_01.zip cannot be fetched from {server.address}/SCD_I")
    assert why in message
    assert f"fetch it by hand from {sunnybrook.PAGE} and put it in {raw}" in message
    assert len(message.splitlines()) == 1
    assert names(raw) == []
    assert server.asked["/scd/SCD_IMAGES_01.zip"] == 4  # once and three retries


def test_a_refused_connection_ends_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(CineganError, match=r"SHA256SUMS cannot be fetched: .*[Rr]efused"):
            mirror_sources(address, tmp_path)
        source = Source(f"{address}/a.zip", GOOD)
        with pytest.raises(CineganError, match=r"a.zip cannot be fetched .*[Rr]efused; try"):
            bring({"a.zip": source}, tmp_path / "raw")
    assert names(tmp_path / "raw") == []


def test_a_web_mirror_without_sums_is_refused(server, tmp_path):
    del server.files["/scd/SHA256SUMS"]
    with pytest.raises(CineganError, match=r"data.mirror: .*/SHA256SUMS cannot be fetched: 404"):
        mirror_sources(server.address, tmp_path)


def test_a_secret_in_an_address_is_not_repeated_in_the_message(server, tmp_path):
    source = Source(f"{server.address}/none.zip?id=1&token=s3cr3t", GOOD)
    with pytest.raises(CineganError) as refused:
        bring({"none.zip": source}, tmp_path / "raw")
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_patient_table_is_read_with_and_without_a_byte_order_mark(tmp_path, start, end):
    lines = ["PatientID,OriginalID,Gender,Age,Pathology", "SCD0000101,SC-HF-I-01,Male,53, Normal "]
    (tmp_path / sunnybrook.TABLE).write_text(start + end.join(lines) + end, newline="")
    table = sunnybrook.read_patient_table(tmp_path)
    assert table == {"SCD0000101": sunnybrook.Patient("SC-HF-I-1", "Normal")}


def test_without_a_table_nothing_is_known(tmp_path):
    assert sunnybrook.read_patient_table(tmp_path) == {}


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", b"PatientID,OriginalID,Pathology\nSCD1\n", b"PatientID\n\xff\xfe\n"]
)
def test_a_table_that_cannot_be_used_is_refused_in_one_line(tmp_path, content):
    (tmp_path / sunnybrook.TABLE).write_bytes(content)
    with pytest.raises(CineganError, match="needs the columns PatientID, OriginalID and Path"):
        sunnybrook.read_patient_table(tmp_path)


def test_the_real_table_names_all_45_patients_in_four_groups(sunnybrook):
    from cinegan.data.sunnybrook import read_patient_table

    table = read_patient_table(sunnybrook)
    groups = Counter(patient.pathology for patient in table.values())
    assert sorted(groups.values()) == [9, 12, 12, 12]
    assert table["SCD0000101"].original_id == "SC-HF-I-1"


def test_the_real_mirror_is_brought_whole(sunnybrook, tmp_path):
    sources = mirror_sources(str(sunnybrook), tmp_path)
    small = {name: sources[name] for name in ("scd_patientdata.csv", "SCD_ManualContours.zip")}
    bring(small, tmp_path / "raw")
    assert len(sources) == 4
    assert names(tmp_path / "raw") == sorted(small)
