"""Licences, the bill of materials and the audit, the last two over a package of our own and a service of our own."""

import json
import re
import zipfile
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from callwright.errors import UserError
from callwright.files import ROOT
from tools import vet


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that depends on one package, and an index that holds it: no network."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "jinja2-3.1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("jinja2-3.1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: jinja2\nVersion: 3.1.0\n")
        wheel.writestr("jinja2-3.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("jinja2-3.1.0.dist-info/RECORD", "")
    (tmp_path / "requirements.in").write_text("# a reason\njinja2  # the report\n")
    (tmp_path / "requirements.txt").write_text("jinja2==3.1.0 \\\n    --hash=sha256:00\n    # via -r requirements.in\n")
    monkeypatch.setattr(vet, "ROOT", tmp_path)
    for name, value in {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels), "UV_HTTP_RETRIES": "0"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def service(server: HTTPServer, holes: list[str]) -> None:
    """OSV's two requests: which holes a package has, and what a hole is."""

    def batch(request: Request) -> Response:
        queries = json.loads(request.data)["queries"]
        assert [(q["package"]["name"], q["version"]) for q in queries] == [("jinja2", "3.1.0")]
        vulns = [{"id": hole, "modified": "2026-01-01T00:00:00Z"} for hole in holes]
        return Response(json.dumps({"results": [{"vulns": vulns}]}), content_type="application/json")

    server.expect_request("/v1/querybatch").respond_with_handler(batch)
    for hole in holes:
        server.expect_request(f"/v1/vulns/{hole}").respond_with_json(
            {"id": hole, "modified": "2026-01-01T00:00:00Z", "summary": "Sandbox escape", "affected": []}
        )


@pytest.mark.parametrize(("holes", "status"), [([], 0), (["GHSA-1234"], 1)])
def test_an_audit_names_what_the_service_knows(small, httpserver, capsys, holes, status):
    service(httpserver, holes)
    assert vet.main(["audit", "--service-url", httpserver.url_for("/")]) == status
    shown = capsys.readouterr().out
    assert all(f"{hole}: Sandbox escape" in shown for hole in holes)
    assert f"{len(holes) or 'no'} known vulnerabilit" in shown


def test_a_service_that_does_not_answer_is_one_line_and_no_clean_bill(small, capsys):
    assert vet.main(["audit", "--service-url", "http://127.0.0.1:9"]) == 2
    shown = capsys.readouterr()
    assert re.fullmatch(r"error: vulnerability service: no answer \(.*refused.*\); nothing was audited;.*\n", shown.err)
    assert not shown.out


def test_pins_that_the_index_lacks_are_one_line(small, capsys):
    (small / "requirements.txt").write_text("jinja2==9.0\n")
    assert vet.main(["audit"]) == 2
    assert capsys.readouterr().err.startswith("error: requirements.txt: uv cannot resolve it (")


def test_the_bill_names_packages_and_what_is_fetched_besides(small):
    assert vet.main(["sbom"]) == 0
    made = json.loads((small / "runs/sbom.cdx.json").read_text())
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.5")
    parts = {part["name"]: part for part in made["components"]}
    assert parts["jinja2"]["version"] == "3.1.0"
    assert parts["jinja2"]["licenses"] == [{"license": {"name": vet.licence("jinja2")}}]
    assert parts["HuggingFaceTB/SmolLM2-135M-Instruct"]["hashes"][0]["content"].startswith("b179c952")


def test_every_direct_dependency_and_base_model_is_in_the_table():
    shown = set((ROOT / "docs/licences.md").read_text().splitlines())
    rows = [line for line in vet.licences().splitlines() if line.count("|") == 4 and vet.ABSENT not in line]
    assert len(rows) > 40
    missing = [row for row in rows if row not in shown]
    assert not missing, "run: make licences"


def test_a_base_model_without_a_licence_is_named(monkeypatch):
    monkeypatch.delitem(vet.BASES, "HuggingFaceTB/SmolLM2-135M-Instruct")
    with pytest.raises(UserError, match=r"licence of models/smollm2-135m-instruct is not known; add it to BASES"):
        vet.licences()


def test_the_lock_pins_every_file_that_setup_installs():
    for path in ROOT.glob("requirements*.txt"):
        for entry in re.split(r"\n(?=\w)", path.read_text()):
            assert "--hash=sha256:" in entry, f"{path.name}: {entry.splitlines()[0]}; run: make lock"
