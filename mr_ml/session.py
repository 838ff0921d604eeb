"""A session: a root, where jobs run, and the memory that they may take, put together for every command.

The command line and the Python API call nothing else to pack, train, evaluate and predict.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from hdfs_layout import Root, append_events, check_name
from hdfs_layout.dataclass import dataclass
from mr_ml.catalog.attempts import begin, noting_errors
from mr_ml.catalog.dataset import Dataset, find_dataset, load_dataset
from mr_ml.catalog.leftovers import sweep_folders
from mr_ml.catalog.model import load_model
from mr_ml.catalog.promotions import standing
from mr_ml.catalog.run import RunDocument, find_run, read_run, start_run
from mr_ml.catalog.uses import using
from mr_ml.catalog.verify import verify
from mr_ml.data import stored
from mr_ml.errors import NoModelError, UsageError
from mr_ml.ids import unique_id
from mr_ml.memory import Memory, block_budget, free_memory, longest_line, predict_budget, rows_budget
from mr_ml.models.base import Model, TrainSpec
from mr_ml.models.metric_choices import NO_CHOICES, MetricChoices
from mr_ml.passes.engines import DEFAULT, ENGINES, Kept, PassesWanted
from mr_ml.runners.base import RUNNERS, Runner, RunnerOptions
from mr_ml.runners.roots import use_config

if TYPE_CHECKING:
    from mr_ml.catalog.decision import Decision
    from mr_ml.catalog.provenance import Provenance
    from mr_ml.catalog.tuning import Tuned
    from mr_ml.models.inference import Inference
    from mr_ml.models.needs import Needs
    from mr_ml.packing.choices import PackChoices
    from mr_ml.passes.base import Engine
    from mr_ml.prediction.choices import PredictChoices
    from mr_ml.training.loop import Progress
    from mr_ml.training.train import Fitted, TrainResult

Say = Callable[[str], None]


def ignore_message(text: object) -> None:
    """Ignore a message."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Where datasets, models and runs are, and where jobs run.

    Attributes
    ----------
    root
        Where datasets, models and runs are kept.
    runner
        Where jobs run.
    memory
        Of all processes on this machine together: bytes, or a size such as "2G"; None for half of what is free.
    engine
        How passes are run: one of `mr_ml.passes.engines.ENGINES`.
    say, warn
        Called with what the user should know, and with what may be wrong with a result that is published nonetheless.
    watch
        Called with the progress of each pass.
    """

    root: Root
    runner: Runner
    memory: Memory = None
    engine: str = DEFAULT
    say: Say = ignore_message
    warn: Say = ignore_message
    watch: Callable[[Progress], None] = ignore_message
    _kept: Kept = field(default_factory=Kept, init=False, repr=False, compare=False)
    # reads the files of coefficients that specs name by their digests
    begins: dict[str, Callable[[], bytes]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def open(
        cls, root: str | os.PathLike[str] | Root, *, runner: str = "local", workers: int | None = None,
        memory: Memory = None, config: str | os.PathLike[str] | None = None, cluster_id: str | None = None,
        master: str | None = None, max_hours: float | None = None, max_cost: float | None = None,
        engine: str | None = None, say: Say = ignore_message, warn: Say = ignore_message,
        watch: Callable[[Progress], None] = ignore_message,
    ) -> Session:  # fmt: skip
        """Open a root and a runner.

        Parameters
        ----------
        root
            A folder, ``hdfs://...``, or what `hdfs_layout.open_root` returned.
        runner
            One of `mr_ml.runners.base.RUNNERS`, such as "inline" or "local".
        workers
            Worker processes of "local"; None for as many as there are processors.
        config
            Path of the YAML settings of a cluster.
        cluster_id, master, max_hours, max_cost
            As of `mr_ml.runners.base.RunnerOptions`.
        engine
            One of `mr_ml.passes.engines.ENGINES`, such as "mapreduce"; None for "auto".

        Raises
        ------
        UsageError
            If there is no such root, runner or engine, or an option is for another runner.
        """
        for name, told in (("say", say), ("warn", warn), ("watch", watch)):
            if not callable(told):
                raise UsageError(f"`{name}`: expected a function, found {stored.shown(told)}")
        memory = stored.chosen(int | str | None, memory, "memory")
        engine = stored.chosen(str | None, engine, "engine")
        if engine is not None:
            # what there is not is found at once
            ENGINES.get(engine)
        options = RunnerOptions(
            workers=stored.chosen(stored.Positive | None, workers, "workers"),
            memory=None if memory is None else str(memory),
            config=stored.chosen(str | None, config, "config"),
            cluster_id=stored.chosen(str | None, cluster_id, "cluster_id"),
            master=stored.chosen(str | None, master, "master"),
            max_hours=stored.chosen(stored.NotNegative | None, max_hours, "max_hours"),
            max_cost=stored.chosen(stored.NotNegative | None, max_cost, "max_cost"),
            say=say,
        )
        opened = use_config(root, runner, options.config)
        opened_runner = RUNNERS.get(runner).open(opened, options)
        if opened_runner.tasks.hint:
            say(opened_runner.tasks.hint)
        return cls(
            root=opened, runner=opened_runner, memory=memory, engine=DEFAULT if engine is None else engine, say=say,
            warn=warn, watch=watch,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self.release()
        finally:
            self.runner.close()

    def release(self) -> None:
        """Give back what passes hold on a cluster for those that come next, such as tasks that stay.

        What needs no passes for a while does so: `pack` and `predict`, whose jobs need the room, and the session's end.
        """
        self._kept.close()

    def pack(
        self, inputs: Sequence[str], name: str, choices: PackChoices, *, request: str | None = None,
        dry_run: bool = False,
    ) -> Dataset:  # fmt: skip
        """Pack text files to a new version of a dataset; raises as `mr_ml.packing.driver.pack`.

        Parameters
        ----------
        inputs
            Files, folders and globs; none if `choices.split_inputs` names them.
        request
            A name for what is asked for: if a version was packed with it, by whomever, that is returned. So who was
            killed may ask again, and gets one version.
        dry_run
            As of `mr_ml.packing.driver.pack`.
        """
        if request is not None:
            known = find_dataset(self.root, name, request=check_name(request, kind="request"))
            if known is not None:
                return known
        self.release()
        from mr_ml.packing.choices import pack_spec
        from mr_ml.packing.driver import pack
        from mr_ml.packing.exchange import PackMemory

        like = None if choices.like is None else load_dataset(self.root, choices.like).schema
        spec = pack_spec(inputs, name, choices, like, request=request)
        rows_bytes = rows_budget(self.memory, self.runner)
        memory = PackMemory(
            rows_bytes=rows_bytes,
            longest_line=longest_line(self.memory, rows_bytes),
            spill_bytes=0 if self.memory is not None else free_memory() // 4,
        )
        told = {"say": self.say, "warn": self.warn}
        return pack(spec, root=self.root, runner=self.runner, memory=memory, dry_run=dry_run, **told)

    def spec(self, kind: str, dataset: str, model: str, split: str, options: Mapping[str, Any]) -> TrainSpec:
        """Return what a training is asked for, with the versions that the dataset and a warm start's model have now.

        A file that it begins with (`warm_start_from`) is looked at, and read again when the run begins.

        Raises
        ------
        UsageError
            If there is no such kind of model, or it has no such option or value of one.
        """
        from mr_ml.training.asked import spec_of

        return spec_of(self.root, kind, dataset, model, split, options, say=self.say, begins=self.begins)

    def train(self, spec: TrainSpec, *, verify_bytes: bool = False, inference: bool = False) -> TrainResult:
        """Train and publish a model; raises as `fit` and `publish`.

        Parameters
        ----------
        inference
            Whether one more pass finds how sure the parameters are: see `infer`. Where the optimum allows no standard
            errors, that is a warning.
        """
        return self._trained(spec, run=unique_id(), verify_bytes=verify_bytes, inference=inference)

    def resume(
        self, run: str, *, verify_bytes: bool = False, inference: bool = False, **limits: float | None
    ) -> TrainResult:  # fmt: skip
        """Go on with a run that was interrupted, or by `max_passes` and `tolerance` with one that had too few passes.

        Raises as `train`, and as `mr_ml.training.going_on.to_resume`.
        """
        from mr_ml.training.going_on import to_resume

        return self._trained(**to_resume(self.root, run, limits), verify_bytes=verify_bytes, inference=inference)

    def _trained(
        self, spec: TrainSpec, *, run: str, verify_bytes: bool, inference: bool, continues: str | None = None
    ) -> TrainResult:  # fmt: skip
        if inference:
            from mr_ml.models.inference import check_asked

            check_asked(spec.no_inference)
        with noting_errors(self.root, run):
            result = self.publish(self.fit(spec, run=run, verify_bytes=verify_bytes, continues=continues))
        _, note = standing(self.root, result.model, result.version)
        if note is not None:
            self.say(note)
        if inference:
            try:
                self.infer(f"{result.model}@{result.version}")
            except NoModelError as error:
                self.warn(str(error))
                result = replace(result, warnings=(*result.warnings, str(error)))
        return result

    def fit(
        self, spec: TrainSpec, *, run: str, verify_bytes: bool = False, part_of: str | None = None,
        continues: str | None = None, publishes: bool = True,
    ) -> Fitted:  # fmt: skip
        """Fit a model and publish nothing: begin the run, or go on with it if it was begun.

        Parameters
        ----------
        part_of, continues, publishes
            The run of the tuning that chose the model; the run from whose state this one begins; as of `RunDocument`.

        Raises
        ------
        UsageError
            If the run was asked to do something else.
        BadDataError, NoModelError, InternalError
            As `mr_ml.training.train.fit`.
        """
        begun = find_run(self.root, check_name(run, kind="run"))
        if begun is not None and begun.spec != spec:
            raise UsageError(
                f"run {run} was asked for {begun.spec.to_json()}, found {spec.to_json()}: give the new one another name"
            )
        dataset = load_dataset(self.root, spec.dataset)
        with using(self.root, dataset):
            told: dict[str, Any] = {"part_of": part_of, "continues": continues, "publishes": publishes}
            document = begun or RunDocument(run=run, spec=spec, **told)
            return self._fit(document, dataset, run=run, is_begun=begun is not None, verify_bytes=verify_bytes)

    def _fit(
        self, document: RunDocument, dataset: Dataset, *, run: str, is_begun: bool, verify_bytes: bool
    ) -> Fitted:  # fmt: skip
        from mr_ml.training.begin import begin_data
        from mr_ml.training.solver import chosen
        from mr_ml.training.train import fit, make_problem, warm_start

        root, layout, spec = self.root, self.root.layout, document.spec
        # what does not fit together is found before there is a run
        partitions = dataset.of_split(spec.split)
        # what goes on from another run's state goes on by that run's solver
        earlier = document if is_begun else document.continues and read_run(root, document.continues)
        problem = chosen(
            make_problem(spec, dataset, root), earlier or None, partial(block_budget, self.memory, self.runner)
        )
        engine = self.engine_over(dataset, spec.split, problem.needs(), runner=self.runner.of_work(run))
        if verify_bytes:
            verify(root.store, partitions)
        solver = problem.choice
        if not is_begun:
            data = begin_data(root, spec, document.continues or document.part_of, self.begins)
            warm_start(problem, spec, dataset, root, data=data)
            start_run(root, run, replace(document, solver=solver), warm_start=data)
            del data
        del problem
        self.say(f"run {run}: {spec.title} on {dataset.reference} {spec.split}, {dataset.n_rows(spec.split)} rows")
        if solver.why:
            self.say(f"solver: {solver.solver}, since {solver.why}")
        environment = self.runner.environment()
        events = [] if environment is None else [{"event": "environment", **environment}]
        begin(root, run, events, part_of=document.part_of)
        name = spec.model
        folders = layout.run(run), layout.model(name), layout.promotions(name), layout.model_data(name, run)
        sweep_folders(root.store, *folders)
        try:
            with closing(engine):
                fitted = fit(
                    spec, run=run, dataset=dataset, engine=engine, root=root, watch=self.watch, say=self.say,
                    continues=document.continues,
                )  # fmt: skip
        except NoModelError as error:
            append_events(root.store, layout.run_log(run), [{"event": "failed", "stop": str(error)}])
            raise
        training = fitted.training
        for warning in [*([] if training["converged"] else [training["stop"]]), *training["warnings"]]:
            self.warn(warning)
        return fitted

    def engine_over(self, dataset: Dataset, split: str, needs: Needs, *, runner: Runner | None = None) -> Engine:
        """Open the engine for passes over a split; whoever asks for it closes it.

        Parameters
        ----------
        needs
            Memory that the passes need besides blocks.
        runner
            That of one work, if it is not the session's own.

        Raises
        ------
        UsageError, UnavailableError
            As `mr_ml.memory.block_budget`; or if there is no such engine for the runner.
        """
        wanted = PassesWanted(
            dataset=dataset, split=split, store=self.root.store, runner=self.runner if runner is None else runner,
            cache_bytes=block_budget(self.memory, self.runner, needs), needs=needs,
            kept=self._kept, say=self.say,
        )  # fmt: skip
        return ENGINES.get(self.engine)(wanted)

    def publish(
        self, fitted: Fitted, *, decision: Decision | None = None, provenance: Provenance | None = None,
        tuned: Tuned | None = None,
    ) -> TrainResult:  # fmt: skip
        """Publish what was fitted; raises as `mr_ml.training.train.publish`."""
        from mr_ml.training.train import publish

        return publish(fitted, self.root, decision=decision, provenance=provenance, tuned=tuned)

    def evaluate(self, model: str | Model, dataset: str, **options: Any) -> dict[str, Any]:
        """Return metrics of one model on a dataset's split, as `evaluate_several`."""
        return self.evaluate_several([model], dataset, **options)[0]

    def evaluate_several(
        self, models: Sequence[str | Model], dataset: str, *, split: str = "test", row_weights: bool = True,
        unseen_features: Literal["error", "ignore"] = "error", verify_bytes: bool = False,
        choices: MetricChoices = NO_CHOICES, by: str | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Return metrics of each of some models on a dataset's split, in one pass.

        Parameters
        ----------
        row_weights
            Whether the dataset's row weights count, if it has any.
        unseen_features
            Whether features that a model does not know are an error or ignored; then features are known by name, and
            those that the dataset lacks are 0.
        choices
            What is asked for beyond the metrics that are always told.
        by
            A column of categories, or a feature, by which groups of rows are measured too.

        Raises
        ------
        UsageError
            If what is asked for cannot be told of such models, or such a dataset.
        BadDataError
            If features or labels of the dataset are not those that a model knows, or the data is damaged.
        """
        opened = [model if isinstance(model, Model) else load_model(self.root, model) for model in models]
        found_in = load_dataset(self.root, dataset)
        ignored = unseen_features == "ignore"
        with using(self.root, found_in):
            from mr_ml.training.evaluate import Evaluation, count_unseen
            from mr_ml.training.groups import NO_GROUPS, groups_by

            partitions = found_in.of_split(split)
            if verify_bytes:
                verify(self.root.store, partitions)
            unseen = [
                count_unseen(model, found_in, self.root.store, split=split, ignored=ignored, say=self.say)
                for model in opened
            ]
            evaluation = Evaluation(
                models=opened,
                measurements=[
                    model.measurement(found_in, row_weights=row_weights, by_name=ignored, choices=choices)
                    for model in opened
                ],
                dataset=found_in,
                column=by,
                groups=NO_GROUPS if by is None else groups_by(found_in, by),
            )
            with closing(self.engine_over(found_in, split, evaluation.needs(split=split))) as engine:
                told = evaluation.run(engine)
        return [{**of, "unseen_features": n, "split": split} for of, n in zip(told, unseen, strict=True)]

    def infer(self, model: str, *, verify_bytes: bool = False) -> Inference:
        """Return how sure the parameters of a published model are: what is kept beside it, else what a pass finds.

        The pass is over the rows that the model was trained on.

        Raises
        ------
        UsageError
            If such a model has no standard errors.
        NoModelError
            If this one has none, since it is no optimum.
        BadDataError
            If the data, or what is kept, is damaged.
        """
        from mr_ml.training.infer import kept_or_found

        return kept_or_found(
            load_model(self.root, model), self.root,
            engine_over=self.engine_over, verify_bytes=verify_bytes,
        )  # fmt: skip

    def predict(
        self, model: str | Model, inputs: Sequence[str], to: str, choices: PredictChoices | None = None
    ) -> dict[str, Any]:
        """Write one line of output for each line of input; raises as `mr_ml.prediction.start.predict`."""
        from mr_ml.prediction.start import predict

        opened = model if isinstance(model, Model) else load_model(self.root, model)
        self.release()
        # what a process has left over is for nothing but long lines
        rows_bytes = predict_budget(self.memory, self.runner, model_bytes=opened.nbytes)
        return predict(
            opened, inputs, to, choices, runner=self.runner, say=self.say,
            longest_line=longest_line(self.memory, rows_bytes),
        )  # fmt: skip
