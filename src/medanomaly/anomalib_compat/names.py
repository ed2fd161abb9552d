"""The private and undocumented names of anomalib and lightning that we use, each with the reason.

anomalib's issues: https://github.com/open-edge-platform/anomalib/issues. lightning's:
https://github.com/Lightning-AI/pytorch-lightning/issues.
"""

from __future__ import annotations

from typing import NamedTuple


class Name(NamedTuple):
    """A name of another package that it does not document."""

    #: Module and name within it, as ``anomalib.engine:Engine._setup_trainer``.
    path: str
    #: Our module that uses it, below ``medanomaly.anomalib_compat``.
    used_by: str
    #: What it is for, and why no public name will do.
    reason: str
    #: The parameters that we rely on, in their order, without ``self``; None where it is not called.
    parameters: tuple[str, ...] | None = None
    #: Whether it exists on an object, not on its class.
    of_object: bool = False


NAMES = (
    # Engine
    Name(
        "anomalib.engine:Engine._cache.args",
        "engine",
        "The trainer's options before there is a trainer: the run's folder is one of them, and an error names them.",
        of_object=True,
    ),
    Name(
        "anomalib.engine:Engine._trainer",
        "engine",
        "Whether there is a trainer yet: the public `trainer` raises where there is none.",
        of_object=True,
    ),
    Name(
        "anomalib.engine:Engine._setup_workspace",
        "engine",
        "Makes the run's folder: each of several processes would make one, and `latest` would move too early.",
        (
            "model",
            "train_dataloaders",
            "val_dataloaders",
            "test_dataloaders",
            "datamodule",
            "dataset",
            "versioned_dir",
        ),
    ),
    Name(
        "anomalib.engine:Engine._setup_trainer", "engine", "Where lightning refuses an option of the user.", ("model",)
    ),
    Name(
        "anomalib.engine:Engine._ensure_checkpoint_io_plugin",
        "engine",
        "Chooses how checkpoints are written; ours writes a whole file or none.",
        ("model",),
    ),
    Name(
        "anomalib.engine:Engine._strategy_checkpoint_io",
        "engine",
        "Whether the user's strategy brings its own way of writing: lightning refuses a second one.",
        (),
    ),
    Name(
        "anomalib.utils.path:_make_latest_windows",
        "engine",
        "`latest` on Windows, where links need rights: anomalib has no public function for it.",
        ("latest", "target"),
    ),
    # Command line
    Name(
        "anomalib.cli:AnomalibCLI._add_default_arguments_to_parser",
        "command_line",
        "Adds --seed_everything, which anomalib parses and forgets; its default and its help must say what ours does.",
        ("parser",),
    ),
    Name(
        "anomalib.cli:AnomalibCLI._run_subcommand",
        "command_line",
        "Runs the command. No public method does, but for the constructor, which leaves no room for checks before.",
        (),
    ),
    # Benchmark
    Name(
        "anomalib.pipelines.benchmark.pipeline:Benchmark._setup_runners",
        "benchmark",
        "One runner for each accelerator, parallel or not. The public `run` swallows a job's failure.",
        ("args",),
    ),
    Name(
        "anomalib.pipelines.benchmark.job:BenchmarkJob.__init__",
        "benchmark",
        "A job: ours keeps the run's folder, which anomalib's deletes.",
        ("accelerator", "model", "datamodule", "seed", "flat_cfg"),
    ),
    Name(
        "anomalib.pipelines.benchmark.generator:BenchmarkJobGenerator.generate_jobs",
        "benchmark",
        "Makes the jobs: anomalib seeds after it has built them, so that a grid over seeds would repeat one run.",
        ("args", "previous_stage_result"),
    ),
    Name(
        "anomalib.pipelines.components.runners:ParallelRunner.__init__",
        "benchmark",
        "Runs our jobs side by side.",
        ("generator", "n_jobs"),
    ),
    Name(
        "anomalib.pipelines.components.runners:SerialRunner.__init__",
        "benchmark",
        "Runs our jobs in turn.",
        ("generator",),
    ),
    Name(
        "anomalib.pipelines.components.base:Runner.run", "benchmark", "Runs all jobs.", ("args", "prev_stage_results")
    ),
    Name(
        "anomalib.pipelines.components.utils:get_iterator_from_grid_dict",
        "benchmark",
        "The combinations of a grid: all are built once before the first runs.",
        ("container",),
    ),
    Name("anomalib.utils.config:flatten_dict", "benchmark", "The columns of the benchmark's table.", ("config",)),
    Name("anomalib.utils.logging:redirect_logs", "benchmark", "The log of the pipelines.", ("log_file",)),
    Name("anomalib.utils.logging:hide_output", "benchmark", "Keeps a job's output off the console.", ("func",)),
    # Data modules
    Name(
        "anomalib.data:AnomalibDataModule._setup",
        "datamodules",
        "Makes the data sets: abstract, so that every data module has to override it.",
        ("_stage",),
    ),
    Name(
        "anomalib.data:AnomalibDataModule._create_test_split",
        "datamodules",
        "Splits by image, and would part the images of a patient; no option of anomalib turns it off for all modules.",
        (),
    ),
    Name("anomalib.data:AnomalibDataModule._create_val_split", "datamodules", "Likewise.", ()),
    Name(
        "anomalib.data:AnomalibDataModule.external_collate_fn",
        "datamodules",
        "A collation that the user sets: loaders of our own have to heed it.",
        of_object=True,
    ),
    Name(
        "anomalib.data:AnomalibDataset._samples",
        "datamodules",
        "The table behind the public `samples`, whose setter sorts by path and asks that every file be there.",
        of_object=True,
    ),
    Name(
        "lightning.pytorch.overrides.distributed:UnrepeatedDistributedSampler",
        "datamodules",
        "Deals images out to several processes without repeating any (lightning #7215); the public way repeats some.",
        ("dataset", "shuffle"),
    ),
    # Lookup of classes
    Name(
        "anomalib.models:ALLOWED_MODULES",
        "plugin_lookup",
        "The modules that a model's class path may name: the benchmark refuses all others.",
    ),
    Name(
        "anomalib.data:get_datamodule",
        "plugin_lookup",
        "Replaced wherever it was imported: it drops the package of a class path, so that no plugin is found.",
        ("config",),
    ),
    # Post-processor
    Name(
        "anomalib.post_processing:PostProcessor._image_threshold",
        "thresholds",
        "The buffer that is written. The public `image_threshold` reads, and puts the pixel threshold in place of NaN.",
        of_object=True,
    ),
    Name("anomalib.post_processing:PostProcessor._pixel_threshold", "thresholds", "Likewise.", of_object=True),
    # Checkpoints
    Name(
        "anomalib.models:AnomalibModule.post_processor",
        "checkpoints",
        "In a checkpoint its name begins the keys of its buffers, and anomalib_post_processor_config holds its "
        "options: `decide` replaces both in the file.",
        of_object=True,
    ),
    Name(
        "lightning:Trainer._checkpoint_connector.dump_checkpoint",
        "checkpoints",
        "The content of a checkpoint. The public `save_checkpoint` waits for all processes, even for a failed one.",
        ("weights_only",),
        of_object=True,
    ),
    Name(
        "lightning:Trainer.fit_loop.epoch_progress.current.completed",
        "checkpoints",
        "Epochs that were trained: the public `current_epoch` counts an epoch before its end.",
        of_object=True,
    ),
    Name(
        "lightning:Trainer.fit_loop.epoch_progress.current.processed",
        "checkpoints",
        "The same of a checkpoint, where it lies under loops/fit_loop/epoch_progress/current.",
        of_object=True,
    ),
    Name(
        "anomalib.engine.plugins:AnomalibCheckpointIO.__init__",
        "checkpoint_io",
        "How anomalib reads a checkpoint without running what is in it: ours extends it.",
        ("extra_safe_globals",),
    ),
    Name(
        "anomalib.engine.plugins:AnomalibCheckpointIO.extra_safe_globals",
        "checkpoint_io",
        "The model's own types that a checkpoint may hold.",
        of_object=True,
    ),
    Name(
        "anomalib.utils.serialization:anomalib_safe_globals",
        "checkpoint_io",
        "The types that a checkpoint may hold.",
        ("extra",),
    ),
    # Export
    Name(
        "anomalib.pre_processing.utils.transform:convert_center_crop_transform",
        "transforms",
        "A centre crop that can be traced, as anomalib's own export uses.",
        ("transform",),
    ),
)
