"""`medanomaly app`: what is wrong is said before the server starts; no torch; this machine alone; no telemetry."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="the page needs the extra app")

from medanomaly.app.server import Options, ServeError, flags, sessions
from medanomaly.cli import main


def test_a_wrong_bundle_is_said_before_the_server_starts(tmp_path, capsys):
    assert main(["app", str(tmp_path), "--marks", str(tmp_path)]) == 2
    assert "is not a bundle" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), 1e39])
def test_a_bundle_whose_operating_point_is_no_number_is_refused(mean_bundle, tmp_path, capsys, threshold):
    bundle = shutil.copytree(mean_bundle, tmp_path / "bundle")
    card = json.loads((bundle / "card.json").read_text())
    card["operating_point"]["threshold"] = threshold
    (bundle / "card.json").write_text(json.dumps(card))
    assert main(["app", str(bundle), "--marks", str(tmp_path / "marks")]) == 2
    assert "operating_point.threshold is" in capsys.readouterr().err


def test_a_port_in_use_is_said(mean_bundle, tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["app", str(mean_bundle), "--port", str(port), "--marks", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"medanomaly: 127.0.0.1:{port} is in use by another program, perhaps another triage page. Choose another "
        "--port, or end that program.\n"
    )


def test_an_address_that_is_not_there_is_said_without_a_number(mean_bundle, tmp_path, capsys):
    assert main(["app", str(mean_bundle), "--address", "203.0.113.7", "--marks", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "203.0.113.7:8501 cannot be served (" in error
    assert "Errno" not in error


@pytest.mark.parametrize("option", [["--every", "0"], ["--max-files", "0"], ["--port", "70000"]])
def test_wrong_options_are_said(mean_bundle, tmp_path, capsys, option):
    assert main(["app", str(mean_bundle), "--marks", str(tmp_path), *option]) == 2
    assert option[0] in capsys.readouterr().err


def test_marks_that_cannot_be_kept_are_said(mean_bundle, tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")
    assert main(["app", str(mean_bundle), "--marks", str(tmp_path / "file")]) == 2
    assert "--marks" in capsys.readouterr().err


def test_settings():
    local = dict(flags(Options(address="127.0.0.1", port=8501, marks=Path())))
    assert local["server.address"] == "127.0.0.1"
    assert local["browser.gatherUsageStats"] == "false"
    assert local["server.headless"] == "true"
    assert "server.allowedHosts" in local
    assert "server.allowedHosts" not in dict(flags(Options(address="0.0.0.0", port=8501, marks=Path())))


def test_the_page_is_not_run_without_the_command():
    with pytest.raises(ServeError, match="medanomaly app"):
        sessions()


def test_nothing_heavy_is_imported(mean_bundle):
    code = (
        "import pkgutil, importlib, sys, medanomaly.app as app, medanomaly.commands.app\n"
        "names = [m.name for m in pkgutil.walk_packages(app.__path__, 'medanomaly.app.') if '.script' not in m.name]\n"
        "for name in names: importlib.import_module(name)\n"
        "heavy = {'torch', 'anomalib', 'lightning', 'scipy', 'matplotlib', 'sklearn', 'timm'} & set(sys.modules)\n"
        "print(len(names), heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    number, heavy = done.stdout.strip().split(" ", 1)
    assert int(number) > 15
    assert heavy == "set()"


def test_other_commands_do_not_load_streamlit(mean_bundle, tmp_path):
    code = f"import sys; from medanomaly.cli import main; main(['verify', {str(mean_bundle)!r}]); print('streamlit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.slow
def test_base_install_and_app_alone_serve_the_page(mean_bundle, tmp_path):
    """In a fresh environment with the extra `app` alone: no torch there, and the page answers."""
    from tests.app.serving import Serving

    repository = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{repository}[app]"]
    subprocess.run(install, check=True, capture_output=True)
    listed = subprocess.run([python, "-m", "pip", "list"], check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "anomalib", "lightning", "scipy", "matplotlib"} & set(listed)
    with Serving(mean_bundle, marks=tmp_path / "marks", python=python) as served:
        assert served.get("/_stcore/health") == "ok"
    assert served.status == 0
    assert list(served.temporary.iterdir()) == []
