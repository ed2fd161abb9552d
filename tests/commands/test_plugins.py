"""``medanomaly plugins list``; with plugins that are broken or share a name, in tests/test_registry.py."""

from __future__ import annotations

import json

from medanomaly.cli import main


def test_plugins_list_prints_json(capsys):
    assert main(["plugins", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["plugins"]
    row = next(row for row in rows if row["name"] == "WirelessCapsule")
    assert row["kind"] == "data"
    assert row["class_path"] == "medanomaly.data.WirelessCapsule"
    assert row["distribution"].startswith("medanomaly ")
