"""The operator in the real Airflow: which state a task and its DAG run end in, whatever mr-ml ends with."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from commands import environment
from daily import Daily, day
from fakes import PUBLISHED, REFUSED, WAIT, Fake, documented, ending, fake

if importlib.util.find_spec("airflow") is None:
    pytest.skip("Airflow is not installed here: MR_ML_AIRFLOW=1 scripts/test.sh", allow_module_level=True)

AIRFLOW_HOME = Path(os.environ["AIRFLOW_HOME"])
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.db import initdb

# of Airflow, about itself
pytestmark = pytest.mark.filterwarnings("ignore")

DAGS = """\
from datetime import datetime, timedelta
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from mr_ml.schedulers.airflow import RetrainOperator

GIVEN = {"schedule": None, "start_date": datetime(2026, 1, 1),
         "default_args": {"retries": 1, "retry_delay": timedelta(0)}}

def retrain(name, **more):
    more = {"config": "/srv/retrain.yaml", "executable": FOLDER + "/" + name, **more}
    return RetrainOperator(task_id=name.replace(" ", "_"), **more)

with DAG("codes", **GIVEN):
    for name in NAMES:
        retrain(name)
    retrain("nowhere")
    RetrainOperator(task_id="relative", config="retrain.yaml")

with DAG("refused", **GIVEN):
    retrain("3")

with DAG("skipping", **GIVEN):
    retrain("3", refusal="skip") >> EmptyOperator(task_id="score")

with DAG("tidying", **GIVEN):
    retrain("3") >> EmptyOperator(task_id="tidy", trigger_rule="all_done")

with DAG("teardown", **GIVEN):
    retrain("3") >> EmptyOperator(task_id="tidy").as_teardown()

with DAG("by_hand", **GIVEN):
    BashOperator(task_id="pipe", bash_command="exit 3 | cat")
    BashOperator(task_id="99", bash_command="exit 99")

with DAG("windows", params={"window": None}, **GIVEN):
    retrain("w none")
    retrain("w param", window="{{ params.window or '' }}")
    retrain("w ds", window="{{ ds }}")
    retrain("w before", window="{{ logical_date.in_timezone('Europe/Berlin').subtract(days=1).to_date_string() }}",
            env={"RUN": "{{ run_id }}"})

with DAG("native", render_template_as_native_obj=True, **GIVEN):
    retrain("w native", window="{{ logical_date.date() }}")
"""

BODIES = {
    "0": ending(0, PUBLISHED),
    "0 without a result": ending(0),
    "0 but refused": ending(0, REFUSED),
    "2": ending(2),
    "3": ending(3, REFUSED),
    "3 without a result": ending(3),
    "65": ending(65),
    "69": ending(69),
    "70": ending(70),
    "74": ending(74),
    "75": ending(75),
    "99": ending(99),
    "killed": WAIT.replace('say("ready")', "os.kill(os.getppid(), signal.SIGTERM)"),
    "locked for a while": "marker = sys.argv[0] + '.tried'\nif not os.path.exists(marker):\n    open(marker, 'x')\n"
    + "    sys.exit(75)\n" + ending(0, PUBLISHED),
}  # fmt: skip


@pytest.fixture(scope="module")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Airflow with a database of its own, and the DAGs."""
    folder = tmp_path_factory.mktemp("programs")
    for name, body in BODIES.items():
        fake(folder / name, body)
    for name in ("w none", "w param", "w ds", "w before", "w native"):
        fake(folder / name, ending(0, PUBLISHED))
    daily = Daily(tmp_path_factory.mktemp("daily"))
    daily.configure()
    daily.add(0, 6)
    (AIRFLOW_HOME / "dags").mkdir(exist_ok=True)
    (AIRFLOW_HOME / "dags" / "nights.py").write_text(f"FOLDER = {str(folder)!r}\nNAMES = {list(BODIES)!r}\n{DAGS}")
    example = documented("RetrainOperator").replace("/srv/ml/retrain.yaml", str(daily.settings))
    (AIRFLOW_HOME / "dags" / "example.py").write_text(example)
    before = signal.getsignal(signal.SIGTERM)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        initdb()
        bag = DagBag(str(AIRFLOW_HOME / "dags"))
        assert bag.import_errors == {}
        bag.folder, bag.daily = folder, daily
        yield bag
    signal.signal(signal.SIGTERM, before)


def run(dags: Any, name: str, **given: Any) -> tuple[str, dict[str, tuple[str, int]], Any]:
    """Run a DAG: its state, of each task the state and the number of tries, and the run."""
    done = dags.dags[name].test(**given)
    return (
        str(done.state),
        {task.task_id: (str(task.state), task.try_number) for task in done.get_task_instances()},
        done,
    )


def test_only_a_promoted_model_is_a_success(dags: Any) -> None:
    state, tasks, done = run(dags, "codes")
    assert state == "failed"
    again, final = ("failed", 2), ("failed", 1)
    assert tasks == {
        "0": ("success", 1), "locked_for_a_while": ("success", 2),
        "0_without_a_result": final, "0_but_refused": final, "2": final, "3": final, "65": final,
        "nowhere": final, "relative": final,
        "3_without_a_result": again, "69": again, "70": again, "74": again, "75": again, "99": again, "killed": again,
    }  # fmt: skip
    # what other tasks can read of it
    found = {task.task_id: task.xcom_pull(task_ids=task.task_id) for task in done.get_task_instances()}
    assert (found["0"]["window"], found["0"]["version"], found["0"]["accepted"]) == ("2026-11-26", 7, True)
    assert (found["3"]["accepted"], found["3"]["reasons"]) == (False, ["auc: expected 0.7, found 0.5"])
    assert found["75"] is None


def test_a_refusal_fails_the_run_unless_it_is_to_be_skipped(dags: Any) -> None:
    assert run(dags, "refused")[:2] == ("failed", {"3": ("failed", 1)})
    assert run(dags, "skipping")[:2] == ("success", {"3": ("skipped", 1), "score": ("skipped", 0)})


def test_what_airflow_calls_a_success_without_us(dags: Any) -> None:
    """The last tasks of a DAG decide, a pipe ends as its last command, and 99 is no failure."""
    assert run(dags, "tidying")[:2] == ("success", {"3": ("failed", 1), "tidy": ("success", 1)})
    assert run(dags, "teardown")[:2] == ("failed", {"3": ("failed", 1), "tidy": ("success", 1)})
    assert run(dags, "by_hand")[:2] == ("success", {"pipe": ("success", 1), "99": ("skipped", 1)})


def last_call(dags: Any, name: str) -> list[str]:
    return Fake(dags.folder / name).calls[-1][3:]


def test_which_day_a_run_stands_for(dags: Any) -> None:
    # half past midnight in Berlin is the day before in UTC, which is what `ds` counts in
    night = datetime(2026, 5, 2, 0, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    state, tasks, _ = run(dags, "windows", logical_date=night)
    assert state == "success", tasks
    assert [last_call(dags, f"w {name}") for name in ("none", "param", "ds", "before")] == [
        [], [], ["--for=2026-05-01"], ["--for=2026-05-01"],
    ]  # fmt: skip
    run(dags, "native", logical_date=night)
    assert last_call(dags, "w native") == ["--for=2026-05-01"]
    # by hand, without a logical date: what rests on one fails
    state, tasks, _ = run(dags, "windows", logical_date=None, run_conf={"window": "2026-04-30"})
    assert state == "failed"
    assert {name: found[0] for name, found in tasks.items()} == {
        "w_none": "success", "w_param": "success", "w_ds": "failed", "w_before": "failed",
    }  # fmt: skip
    assert last_call(dags, "w param") == ["--for=2026-04-30"]


def test_the_example_of_the_documents_with_the_real_mr_ml(dags: Any) -> None:
    def night(number: int) -> datetime:
        return datetime.combine(day(number + 1), time(2, 15), ZoneInfo("Europe/Berlin"))

    state, tasks, done = run(dags, "retrain_ctr", logical_date=night(4))
    assert (state, tasks) == ("success", {"retrain": ("success", 1)})
    found = done.get_task_instances()[0].xcom_pull(task_ids="retrain")
    assert (found["window"], found["version"]) == (str(day(4)), 1)
    dags.daily.add(2, 4, flipped=True)
    state, tasks, done = run(dags, "retrain_ctr", logical_date=night(5))
    assert (state, tasks) == ("failed", {"retrain": ("failed", 1)})
    found = done.get_task_instances()[0].xcom_pull(task_ids="retrain")
    assert (found["window"], found["accepted"], found["promoted"]) == (str(day(5)), False, 1)
    assert found["reasons"]


def test_a_dag_is_loaded_without_a_database(tmp_path: Path) -> None:
    code = "from mr_ml.schedulers.airflow import RetrainOperator as R; R(task_id='r', config='/srv/retrain.yaml')"
    done = subprocess.run(
        [sys.executable, "-c", code + "; import sys; print('numpy' in sys.modules)"],
        capture_output=True, text=True, check=True, env={**environment(), "AIRFLOW_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.stdout.split()[-1] == "False"
    assert not (tmp_path / "home" / "airflow.db").exists()


def test_there_are_two_ways_to_take_a_refusal() -> None:
    from mr_ml.schedulers.airflow import RetrainOperator

    with pytest.raises(ValueError, match="`refusal`: expected 'fail' or 'skip', found 'ignore'"):
        RetrainOperator(task_id="retrain", config="/srv/retrain.yaml", refusal="ignore")  # type: ignore[arg-type]
