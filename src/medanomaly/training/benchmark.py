"""anomalib's benchmark with its seed used, and an exit status that says what failed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import anomalib.data
import yaml
from anomalib.models import get_model
from lightning import seed_everything

from medanomaly import seeds
from medanomaly.anomalib_compat.benchmark import (
    BenchmarkJobGenerator,
    flatten_dict,
    get_iterator_from_grid_dict,
    redirect_logs,
    runners,
)
from medanomaly.errors import MedAnomalyError
from medanomaly.options import DEFAULT_EPOCHS, OptionError, wrong_value
from medanomaly.registry import PluginError
from medanomaly.training.benchmark_job import KeptJob, StageError
from medanomaly.training.class_names import class_error
from medanomaly.training.option_blame import named, reason
from medanomaly.training.parse_errors import options_of

logger = logging.getLogger(__name__)

#: Where anomalib's pipelines write what happened.
LOG = Path("runs") / "pipeline.log"


class BenchmarkError(MedAnomalyError, RuntimeError):
    """Some of a benchmark's jobs failed. The message says where their errors are."""


class SeededGenerator(BenchmarkJobGenerator):
    """anomalib's jobs; the job's ``seed`` is also that of its model and data, where they have none of their own.

    anomalib seeds after both are built, so that a grid over seeds would train the same weights on the same split.
    """

    @property
    def job_class(self) -> type:
        """What collects and saves the rows."""
        return KeptJob

    def generate_jobs(  # type: ignore[override]
        self, args: dict, previous_stage_result: Any = None
    ) -> Generator[KeptJob, None, None]:
        """One job for each combination of the grid."""
        del previous_stage_result
        for options in get_iterator_from_grid_dict(args):
            yield self.job(options)

    def job(self, options: dict[str, Any]) -> KeptJob:
        """The job of one combination.

        Raises:
            OptionError: if its seed, number of epochs, model or data are wrong.
        """
        seed, epochs = options.get("seed", 0), options.get("max_epochs", DEFAULT_EPOCHS)
        seeds.check("benchmark.seed", seed)
        if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
            raise wrong_value("benchmark.max_epochs", epochs, "must be a whole number, at least 1", ())
        seeds.set_run_seed(seed)
        seed_everything(seed, workers=True, verbose=False)
        model = _built("model", get_model, options.get("model"), seed)
        # Looked up when used: `register` replaces anomalib's own, which drops the package of a class path.
        module = _built("data", anomalib.data.get_datamodule, options.get("data"), seed)
        flat = flatten_dict({**options, "seed": seed})
        return KeptJob(self.accelerator, model, module, seed, flat, epochs=epochs)


def _built(kind: str, build: Callable[..., Any], section: Any, seed: int) -> Any:
    """A job's model or data module, with the job's seed unless the section says another."""
    if not isinstance(section, Mapping):
        section = {"class_path": str(section)} if section else {}
    if "class_path" not in section:
        raise OptionError(f"benchmark.{kind}: must be given, with a class_path.")
    given = dict(section.get("init_args") or {})
    try:
        made = build(dict(section))
        if "seed" in given or "seed" not in options_of(type(made)):
            return made
        return build({**section, "init_args": {**given, "seed": seed}})
    except Exception as error:  # whatever a constructor refuses a value with
        raise _refused(kind, section["class_path"], given, error) from error


def _refused(kind: str, class_path: str, given: Mapping[str, Any], error: Exception) -> OptionError:
    """The error for a section that nothing can be built of."""
    place = f"benchmark.{kind}"
    if "Unknown" in type(error).__name__ or isinstance(error, (ImportError, AttributeError, PluginError)):
        unknown = class_error(place, kind, class_path)
        if unknown is not None:
            return unknown
    name = named(given, given, error)
    if name is None:
        return wrong_value(place, class_path, reason(error))
    return wrong_value(f"{place}.init_args.{name}", given[name], reason(error))


class SeededBenchmark:
    """anomalib's benchmark; all combinations are built once before the first runs, and a failure is not passed over."""

    def run(self, args: Any) -> None:
        """Run all jobs.

        Raises:
            OptionError: if the configuration is wrong.
            BenchmarkError: if a job fails.
        """
        config = yaml.safe_load(Path(args.config).read_text(encoding="utf-8"))
        jobs = config.get("benchmark")
        if not isinstance(jobs, Mapping):
            raise OptionError(f"--config {args.config}: has no section `benchmark`.")
        if "accelerator" not in config:
            raise OptionError(f"--config {args.config}: must name an accelerator: cpu or cuda.")
        try:
            found = runners(config, SeededGenerator)
        except ValueError as error:
            raise wrong_value(
                "accelerator", config["accelerator"], f"{error}: must be cpu or cuda", ("cpu", "cuda")
            ) from error
        for options in get_iterator_from_grid_dict(dict(jobs)):
            SeededGenerator("cpu").job(options)
        redirect_logs(str(LOG))
        failed: list[str] = []
        for runner in found:
            try:
                runner.run(dict(jobs), None)
            except StageError as error:
                failed.append(str(error))
            except Exception:
                logger.exception("A runner of the benchmark failed.")
                failed.append(f"some jobs of the benchmark failed; their errors are in {LOG.resolve()}")
        if failed:
            raise BenchmarkError(". ".join(failed))
