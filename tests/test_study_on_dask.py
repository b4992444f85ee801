from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path

import joblib
import pytest
from test_study import kept_in, wait_until

import study
import study_runs
import study_workers
from study_runs import SHUFFLED, Run

dask = pytest.importorskip("dask", reason="needs the packages of requirements-cluster.txt")
distributed = pytest.importorskip(
    "distributed", reason="needs the packages of requirements-cluster.txt"
)

TINY = ["--seeds", "2", "--epochs", "1", "--quiet"]


@pytest.fixture(scope="module")
def cluster():
    """Start a scheduler and two workers in processes of their own.

    The scheduler gives up a task with the second worker that dies of it, not with the fourth, so
    that it is quick, and quick to blame a task that only waited there.
    """
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
    ):
        yield cluster


def test_study_survives_the_death_of_a_worker_with_the_same_table(
    cluster, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)

    def kill_a_worker():
        wait_until(lambda: kept_in("cluster_cache") >= 2)
        killed.append(cluster.workers[0].pid)
        os.kill(killed[0], signal.SIGKILL)

    killed = []
    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    code = study.main(
        [
            *TINY,
            *("--scheduler", cluster.scheduler_address),
            *("--cache", "cluster_cache", "--output", "cluster.csv"),
        ]
    )
    killer.join()
    assert code == 0
    assert killed
    assert "study" not in capsys.readouterr().err
    assert study.main([*TINY, "--jobs", "2", "--cache", "own_cache", "--output", "own.csv"]) == 0
    assert Path("cluster.csv").read_bytes() == Path("own.csv").read_bytes()


def kill_its_worker(runs: list[Run]) -> list[study_workers.Outcome]:
    if runs[0].seed == 1:
        os._exit(1)
    return study_workers.attempt(runs)


def test_run_that_kills_its_workers_fails_and_the_others_go_on(cluster, monkeypatch, capsys):
    monkeypatch.setattr(study_workers, "attempt", kill_its_worker)
    runs = [Run(SHUFFLED, seed, 1, 1, study_runs.fingerprint()) for seed in range(4)]
    results = study_workers.make_runs(runs, 1, cluster.scheduler_address)
    assert [result.seed for result in results] == [0, 2, 3]
    assert f"error: {SHUFFLED}, seed 1: KilledWorker: " in capsys.readouterr().err


def test_run_that_was_only_waiting_where_a_worker_died_is_made_again(monkeypatch):
    made = []

    def blame_all_at_first(runs: list[Run]) -> list[tuple[Run, object]]:
        made.append([run.seed for run in runs])
        killed = distributed.KilledWorker("task", None, 1)
        return [(run, "done" if len(made) > 3 and run.seed != 1 else killed) for run in runs]

    @contextlib.contextmanager
    def cluster_that_blames(scheduler):
        with joblib.parallel_config(backend="threading", n_jobs=2):
            yield blame_all_at_first

    monkeypatch.setattr(study_workers, "dask_cluster", cluster_that_blames)
    runs = [Run(SHUFFLED, seed, 1, 1, "f") for seed in range(3)]
    ended = {run.seed: end for run, end in study_workers.outcomes(runs, 1, "tcp://HOST:8786")}
    assert sorted(made[3:]) == [[0], [1], [2]]
    assert (ended[0], ended[2]) == ("done", "done")
    assert isinstance(ended[1], distributed.KilledWorker)


def name_process(runs: list[Run]) -> list[tuple[Run, int]]:
    return [(run, os.getpid()) for run in runs]


def test_single_worker_makes_the_runs_itself(monkeypatch):
    monkeypatch.setattr(study_workers, "attempt", name_process)
    runs = [Run(SHUFFLED, 0, 1, 1, "f")]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0"
    ) as single:
        [(_, process)] = study_workers.outcomes(runs, 1, single.scheduler_address)
    assert process != os.getpid()


def test_scheduler_that_does_not_answer_is_an_error(monkeypatch):
    monkeypatch.setattr(study_workers, "WAIT_SECONDS", 0.5)
    runs = [Run(SHUFFLED, 0, 1, 1, "f")]
    with pytest.raises(OSError, match=r"Timed out trying to connect to tcp://127\.0\.0\.1:9"):
        study_workers.make_runs(runs, 1, "tcp://127.0.0.1:9")


def test_cluster_without_workers_is_an_error(monkeypatch):
    monkeypatch.setattr(study_workers, "WAIT_SECONDS", 0.5)
    runs = [Run(SHUFFLED, 0, 1, 1, "f")]
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as empty,
        pytest.raises(TimeoutError, match=r"has no worker after 0\.5 s"),
    ):
        study_workers.make_runs(runs, 1, empty.scheduler_address)
