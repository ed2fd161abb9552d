"""Each private name of anomalib and lightning that we use exists as we use it, and none is used outside the seam."""

import argparse
import ast
import importlib
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from types import ModuleType

import pytest

import medanomaly
from medanomaly.anomalib_compat.names import NAMES, Name

ROOT = Path(__file__).parents[1]
SEAM = Path(medanomaly.__file__).parent / "anomalib_compat"
ADVICE = (
    "Change medanomaly/anomalib_compat/{0.used_by}.py and the entry of {0.path} in names.py. It is used for: {0.reason}"
)


@cache
def counter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("private_names", ROOT / "benchmarks" / "private_names.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Each name exists, with the parameters that we rely on.


def an_object(path: str) -> object:
    """An object of the class before the first dot of a name."""
    from anomalib.data import AnomalibDataset, MVTecAD
    from anomalib.engine import Engine
    from anomalib.engine.plugins import AnomalibCheckpointIO
    from anomalib.models import Padim
    from anomalib.post_processing import PostProcessor
    from lightning import Trainer

    class Images(AnomalibDataset):
        pass

    makers = {
        "Engine": Engine,
        "AnomalibDataModule": MVTecAD,
        "AnomalibDataset": Images,
        "AnomalibModule": partial(Padim, pre_trained=False),
        "PostProcessor": PostProcessor,
        "AnomalibCheckpointIO": AnomalibCheckpointIO,
        "Trainer": partial(Trainer, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False),
    }
    return makers[path.partition(".")[0]]()


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.path)
def test_each_name_exists_with_the_parameters_that_we_rely_on(name: Name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, _, path = name.path.partition(":")
    advice = ADVICE.format(name)
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        pytest.fail(f"{module} is gone ({error}). {advice}")
    parts = path.split(".")
    if name.of_object:
        assert hasattr(found, parts[0]), f"{parts[0]} is gone. {advice}"
        found, parts = an_object(path), parts[1:]
    for part in parts:
        assert hasattr(found, part), f"{part} is gone. {advice}"
        found = getattr(found, part)
    if name.parameters is None:
        return
    signature = inspect.signature(found).parameters
    there = [parameter for parameter in signature if parameter != "self"]
    if name.path.endswith("DistributedSampler"):  # its other parameters go on to torch's
        return
    assert tuple(there[: len(name.parameters)]) == name.parameters, f"it takes {there} now. {advice}"
    more = [signature[one] for one in there[len(name.parameters) :]]
    needed = [
        one.name for one in more if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    assert not needed, f"it needs {needed} too. {advice}"


def test_a_checkpoint_keeps_the_post_processor_where_we_replace_it():
    model, checkpoint = an_object("AnomalibModule"), {}
    model.on_save_checkpoint(checkpoint)
    assert "anomalib_post_processor_config" in checkpoint
    assert any(key.startswith("post_processor.") for key in model.state_dict())


def test_a_sampler_repeats_no_image():
    from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler

    shares = [[*UnrepeatedDistributedSampler(range(5), shuffle=False, num_replicas=2, rank=rank)] for rank in range(2)]
    assert sorted(shares[0] + shares[1]) == [*range(5)]


def test_thresholds_are_the_buffers_themselves():
    from medanomaly.anomalib_compat.thresholds import ThresholdBuffers

    post = ThresholdBuffers()
    post.image_threshold.fill_(0.25)
    assert float(post.state_dict()["_image_threshold"]) == 0.25
    assert post.pixel_threshold.isnan(), "a pixel threshold that is unknown is not the image's"


# Each name stands once, and is used by the file that it says.


def test_each_name_stands_once_and_is_used_where_it_says():
    paths = [name.path for name in NAMES]
    assert len(paths) == len(set(paths))
    for name in NAMES:
        text = (SEAM / f"{name.used_by}.py").read_text(encoding="utf-8")
        owner, *_, last = ["", *name.path.partition(":")[2].split(".")][-2:]
        # What does not begin with an underscore may be used through a subclass, elsewhere.
        used = last in text or (not is_private(last) and owner in text)
        assert used, f"{name.used_by}.py does not use {name.path}: take it out of names.py"


def test_the_seam_and_the_vocabulary_of_the_count_agree():
    words = counter()
    listed = {part for name in NAMES for part in name.path.partition(":")[2].split(".")}
    modules = {name.path.partition(":")[0] for name in NAMES}
    for part in listed:
        if part.startswith("_") and not part.startswith("__"):
            assert part in words.ATTRIBUTES, f"add {part} to ATTRIBUTES of benchmarks/private_names.py"
    for module in modules - {"anomalib.cli", "anomalib.data", "anomalib.engine", "anomalib.models", "lightning"}:
        known = module == "anomalib.post_processing" or any(module.startswith(one) for one in words.MODULES)
        assert known, f"add {module} to MODULES of benchmarks/private_names.py"
    # What 0.1.0 used and we no longer do: public names have taken their places.
    past = {
        "_add_trainer_arguments_to_parser",
        "_checkpoint_config_keys",
        "_prepare_subcommand_kwargs",
    }
    unlisted = {word for word in words.ATTRIBUTES if word not in listed} - past
    assert not unlisted, "no entry of names.py has these words of benchmarks/private_names.py"


def test_the_seam_is_light():
    """What the edge and the command line import of it loads neither torch nor anomalib."""
    for name in ("__init__", "names", "checkpoints", "plugin_lookup"):
        tree = ast.parse((SEAM / f"{name}.py").read_text(encoding="utf-8"))
        heads = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
        heads |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert not [head for head in heads if head.split(".")[0] in ("torch", "anomalib", "lightning", "pandas")]


# No private name is used outside the seam: known ones, ...


def test_no_known_private_name_is_used_outside_the_seam():
    assert counter().private_names(ROOT) == []


@pytest.mark.parametrize(
    "source",
    [
        "engine._cache.args",
        "getattr(engine, '_trainer')",
        "class A:\n    def _setup(self): ...",
        "import anomalib.cli.cli",
        "from anomalib.utils.path import _make_latest_windows",
        "from anomalib.data import _private",
        "from lightning.pytorch.overrides import distributed",
        "module.get_datamodule = f",
        "setattr(module, 'get_datamodule', f)",
        "checkpoint['anomalib_post_processor_config']",
        "anomalib.models.ALLOWED_MODULES.add('x')",
    ],
)
def test_each_way_of_using_one_is_seen(source, tmp_path):
    (tmp_path / "src" / "medanomaly" / "anomalib_compat").mkdir(parents=True)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "src" / "medanomaly" / "other.py").write_text(source, encoding="utf-8")
    (tmp_path / "src" / "medanomaly" / "anomalib_compat" / "x.py").write_text(source, encoding="utf-8")
    (found,) = counter().private_names(tmp_path)
    assert found.startswith("src/medanomaly/other.py:")


# ... and any that no list knows.

#: Private names of other packages, which are no business of this test: namedtuple's, os's, torch's, argparse's.
OTHERS = {"_asdict", "_replace", "_exit", "_load_from_state_dict"}
OTHERS |= {*re.findall(r"\b_[a-zA-Z]\w*", inspect.getsource(argparse))}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for base in ("src", "plugins"):
        for path in sorted((ROOT / base).rglob("*.py")):
            if not path.is_relative_to(ROOT / "src" / "medanomaly" / "anomalib_compat"):
                module = ".".join(path.relative_to(ROOT / base).with_suffix("").parts).removesuffix(".__init__")
                yield module, ast.parse(path.read_text(encoding="utf-8"))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def test_private_attributes_are_of_classes_of_ours():
    """``thing._name`` is ours if some class or module of ours defines ``_name``."""
    defined, used = set(OTHERS), []
    for module, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                defined.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                defined.add(node.id)
            elif isinstance(node, ast.Attribute) and is_private(node.attr):
                if isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
                    defined.add(node.attr)
                else:
                    used.append((f"{module}:{node.lineno}: {ast.unparse(node)}", node.attr))
    assert [place for place, name in used if name not in defined] == []


def their_private_names(cls: type) -> set[str]:
    """Private names that the bases of a class outside our packages define, or set on themselves."""
    names: set[str] = set()
    for base in cls.__mro__:
        if base.__module__.split(".")[0] not in ("anomalib", "lightning"):
            continue
        names |= {name for name in vars(base) if is_private(name)}
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(base)))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_private(node.attr):
                names.add(node.attr)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and is_private(node.target.id):
                names.add(node.target.id)
    return {name for name in names if not name.startswith("_abc_")}


def test_no_class_of_ours_overrides_or_reads_a_private_name_of_its_base():
    """In a class that extends one of theirs, ``self._name`` and ``def _name`` may be theirs without our knowing."""
    found = []
    for module, tree in sources():
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.bases]
        if not classes or ".app." in f".{module}." or module.endswith(("__main__", "_worker")):
            continue
        there = importlib.import_module(module)
        for node in classes:
            names = their_private_names(getattr(there, node.name))
            for part in ast.walk(node) if names else ():
                if isinstance(part, ast.FunctionDef) and part.name in names:
                    found.append(f"{module}:{part.lineno}: {node.name}.{part.name}")
                elif isinstance(part, ast.Attribute) and part.attr in names:
                    found.append(f"{module}:{part.lineno}: {ast.unparse(part)}")
    assert found == []
