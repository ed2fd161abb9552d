"""``Folder``: folders and patterns of patients are groups."""

from __future__ import annotations

import pytest
from tests.plugins.folder_trees import listed, normals, tree

from medanomaly.data import Folder
from medanomaly.data.table import TableError
from medanomaly.runs.run_record import data_section

FOLDERS = {
    "numbered": ([f"P{i:03d}" for i in range(12)], 3, True),
    "numbered, many images": ([f"P{i:03d}" for i in range(24)], 40, True),
    "one digit": ([f"P{i}" for i in range(8)], 2, True),
    "with a word": (["patient1", "patient2", "patient3"], 9, True),
    "identifiers": ([f"1.2.840.{i * 7919}" for i in range(8)], 2, True),
    "names": ([f"{a}{b}" for a in ("smith", "jones", "li") for b in ("-a", "-b", "-c", "-d", "-e")], 2, True),
    "classes": (["polyp", "ulcer", "bleeding"], 3, False),
    "grades": ([f"grade{i}" for i in range(5)], 4, False),
    "digits": (list("123456789"), 3, False),
    "more classes": (["bent", "cable", "cut", "poke", "missing", "scratch", "dent", "fold"], 12, False),
    "few of one number": (["T10", "T20", "T30"], 4, False),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_patients_are_groups_and_that_is_said(tmp_path, name):
    folders, each, patients = FOLDERS[name]
    tree(normals(tmp_path), *(f"abnormal/{folder}/{i}.png" for folder in folders for i in range(each)))
    found, module = listed(tmp_path)
    ill = {path: row for path, row in found.items() if path.startswith("abnormal")}
    assert {label for label, _, _ in ill.values()} == ({"abnormal"} if patients else set(folders))
    assert {group for _, group, _ in ill.values()} == (set(folders) if patients else set(ill))
    assert any("taken for patients" in note for note in module.notes) == patients
    assert len({label for label, _, _ in listed(tmp_path, subfolders="class")[0].values()}) == len(folders) + 1
    assert {label for label, _, _ in listed(tmp_path, subfolders="group")[0].values()} == {"normal", "abnormal"}
    assert (module.listed.groupby("group")["split"].nunique() == 1).all()


def test_patients_inside_classes_and_among_the_normal_images(tmp_path):
    tree(tmp_path, *(f"normal/P{i:03d}/{k}.png" for i in range(20) for k in range(3)))
    tree(
        tmp_path,
        *(
            f"abnormal/{c}/P{i:03d}/{k}.png"
            for n, c in enumerate(("polyp", "ulcer"))
            for i in range(30 + 9 * n, 38 + 9 * n)
            for k in range(2)
        ),
    )
    found, module = listed(tmp_path)
    assert found["normal/P003/1.png"] == ("normal", "P003", [])
    assert found["abnormal/ulcer/P040/1.png"] == ("ulcer", "P040", [])
    assert module.groups_known


def test_a_patient_in_both_directories_stays_together(tmp_path):
    tree(
        tmp_path,
        *(f"{kind}/P{i:03d}/{kind}{k}.png" for kind in ("normal", "abnormal") for i in range(8) for k in range(2)),
    )
    tree(tmp_path, *(f"normal/P{i:03d}/n.png" for i in range(8, 20)))
    _, module = listed(tmp_path)
    assert (module.listed.groupby("group")["split"].nunique() == 1).all()
    assert module.listed["group"].nunique() == 20


def test_where_every_patient_is_ill_the_error_says_so(tmp_path):
    tree(tmp_path, *(f"{kind}/P{i:03d}/{kind}.png" for kind in ("normal", "abnormal") for i in range(8)))
    with pytest.raises(TableError, match="no normal image is left to train on"):
        listed(tmp_path)


def test_a_pattern_goes_before_folders(tmp_path):
    tree(normals(tmp_path), *(f"abnormal/P{i:03d}/n{50 + i // 2:02d}.png" for i in range(12)))
    found, _ = listed(tmp_path, group_pattern=r"/n(\d+)\.")
    assert {label for label, _, _ in found.values()} == {"normal", "abnormal"}
    assert found["abnormal/P003/n51.png"][1] == "51"


@pytest.mark.parametrize(("options", "known"), [({}, False), ({"group_pattern": r"(\d+)\."}, True)])
def test_whether_patients_are_known_is_what_the_user_said(tmp_path, options, known):
    tree(normals(tmp_path), *(f"abnormal/a{i}5.png" for i in range(4)))
    module = Folder(root=tmp_path, **options)
    assert module.groups_known is known
    assert data_section(module)["groups_known"] is known
