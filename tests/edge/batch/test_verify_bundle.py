"""`medanomaly verify`: whole or not, the same scores or not, and without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import write_image

from medanomaly.cli import main
from medanomaly.edge.batch.verify_bundle import VerifyError, flip, verify
from medanomaly.files import sha256


@pytest.fixture
def copy(tiny_bundle, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def edit(bundle: Path, **changes) -> dict:
    card = {**json.loads((bundle / "card.json").read_text()), **changes}
    (bundle / "card.json").write_text(json.dumps(card))
    return card


def hashed(bundle: Path) -> None:
    """A card that was made to fit its files."""
    edit(bundle, files={name: sha256(bundle / name) for name in ("model.xml", "model.bin")})


def found(bundle: Path, *images: str | Path) -> dict[str, bool | None]:
    return {check.name: check.good for check in verify(bundle, images).checks}


@pytest.fixture(scope="session")
def frames(tiny_run) -> Path:
    return tiny_run.parents[3] / "frames"


def test_a_whole_bundle_is_good_with_and_without_images(tiny_bundle, frames, tmp_path, capsys):
    assert found(tiny_bundle) == {"files": True, "graph": True, "self-test": True}
    # Other names, another folder, others among them: images are known by their content.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for number, path in enumerate(sorted(frames.rglob("*.png"))):
        shutil.copy(path, elsewhere / f"patient-{number}.png")
    write_image(elsewhere / "other.png", np.zeros((40, 40, 3), np.uint8))
    assert main(["verify", str(tiny_bundle), str(elsewhere), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["good"]
    replay = report["replay"]
    assert (replay["recorded"], replay["found"], replay["flips"], replay["failed"]) == (40, 40, 0, [])
    assert replay["score_relative"] <= 1e-4
    assert report["versions"]["here"]["openvino"]


def test_it_says_how_many_were_found(tiny_bundle, frames, tmp_path, capsys):
    known = {item["sha256"] for item in json.loads((tiny_bundle / "card.json").read_text())["parity"]["replay"]}
    some = [str(path) for path in sorted(frames.rglob("*.png")) if sha256(path) in known][:3]
    assert main(["verify", str(tiny_bundle), *some]) == 0
    assert "3 of 40 recorded images found" in capsys.readouterr().out
    other = write_image(tmp_path / "other.png", np.zeros((40, 40, 3), np.uint8))
    assert main(["verify", str(tiny_bundle), str(other)]) == 2
    assert "None of the 40 recorded images" in capsys.readouterr().err
    with pytest.raises(VerifyError, match="does not exist"):
        verify(tiny_bundle, [tmp_path / "no.png"])


@pytest.mark.parametrize("name", ["model.xml", "model.bin", "validation.csv"])
def test_missing_and_altered_files_differ(copy, name, capsys):
    with (copy / name).open("ab") as file:
        file.write(b" ")
    assert main(["verify", str(copy)]) == 1
    told = capsys.readouterr().out
    assert f"{copy / name}: was altered" in told
    assert "Copy" in told
    (copy / name).unlink()
    assert main(["verify", str(copy)]) == 1
    assert f"lacks {name}" in capsys.readouterr().out


def test_what_is_no_bundle_or_newer_is_refused(copy, tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 2
    assert "is not a bundle" in capsys.readouterr().err
    edit(copy, schema=99)
    assert main(["verify", str(copy)]) == 2
    assert "Update medanomaly" in capsys.readouterr().err
    edit(copy, schema=3, input={"type": "float16", "layout": "NHWC"})
    assert main(["verify", str(copy)]) == 1
    edit(copy, files={})
    assert main(["verify", str(copy)]) == 2
    assert "lists other files" in capsys.readouterr().err


def test_the_card_of_one_bundle_with_the_graph_of_another(tiny_run, tiny_bundle, copy, tmp_path, capsys):
    from medanomaly.export import export_run

    export_run(tiny_run, tmp_path / "other", limit=2)
    for name in ("model.xml", "model.bin"):
        shutil.copy(tmp_path / "other" / name, copy / name)
    assert main(["verify", str(copy)]) == 1
    told = capsys.readouterr().out
    assert "is another bundle's" in told
    assert "belongs to another card" in told
    hashed(copy)
    assert found(copy) == {"files": True, "graph": False, "self-test": None}


def test_an_operating_point_edited_by_hand_is_found(copy):
    point = json.loads((copy / "card.json").read_text())["operating_point"]
    edit(copy, operating_point={**point, "threshold": point["threshold"] * 2})
    assert found(copy) == {"files": True, "graph": False, "self-test": None}


def test_a_changed_weight_is_found_behind_its_hash(copy):
    from medanomaly.edge.detector import core

    constants = [op.data for op in core().read_model(copy / "model.xml").get_ops() if op.get_type_name() == "Constant"]
    changed = (copy / "model.bin").read_bytes()
    for data in constants:
        if data.ndim == 4 and data.size > 100:
            changed = changed.replace(data.tobytes(), (data * np.float32(1.1)).tobytes())
    (copy / "model.bin").unlink()  # it is mapped
    (copy / "model.bin").write_bytes(changed)
    hashed(copy)
    assert found(copy)["self-test"] is False


def test_other_scores_than_torchs_differ(copy, frames, capsys):
    """Card and graph agree, and the self-test holds: the images alone tell."""
    from medanomaly.edge.bundle_graph import seal
    from medanomaly.edge.detector import core

    card = json.loads((copy / "card.json").read_text())
    threshold = card["operating_point"]["threshold"]
    for item in card["parity"]["replay"][:2]:
        item["raw_score"] = 2 * threshold
    seal(core().read_model(copy / "model.xml"), copy, card)
    assert found(copy) == {"files": True, "graph": True, "self-test": True}
    assert main(["verify", str(copy), str(frames)]) == 1
    told = capsys.readouterr().out
    assert "replay         DIFFERS" in told
    assert "decisions that differ 2" in told
    card["parity"].pop("replay")
    seal(core().read_model(copy / "model.xml"), copy, card)
    with pytest.raises(VerifyError, match="names no images"):
        verify(copy, [frames])


def test_a_score_on_the_threshold_is_not_counted_as_a_flip(tiny_bundle):
    from medanomaly.decision.decision_function import DecisionFunction

    decider = DecisionFunction.of({"threshold": 1.0, "scale": 1.0})
    assert flip(decider, 1.0, True) == "flips_on_threshold"
    assert flip(decider, 0.9, True) == "flips"
    assert flip(decider, 0.9, False) is None


def test_it_needs_no_torch(tiny_bundle):
    code = (
        "import sys; from medanomaly.cli import main; "
        f"status = main(['verify', {str(tiny_bundle)!r}]); "
        "assert not {'torch', 'anomalib', 'pandas'} & set(sys.modules); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "self-test      good" in done.stdout
