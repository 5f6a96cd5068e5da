"""Several processes under PyTorch's launcher learn what one learns, stop together, and go on when one is killed."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest
import torch.distributed as dist

from llm_studio.errors import Cancelled, TrainingError
from llm_studio.jobs import Job
from llm_studio.project import Project
from llm_studio.runs import checkpoint, moments, registry, snapshots
from llm_studio.training.distributed import ALONE, ProcessGroup, joined
from llm_studio.workflows.training.train import train
from tests.tiny import project_with_tokens
from tests.training.test_resume import StopAt, records

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="several processes are for servers, which run Linux")

PATIENCE = 240


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("parallel") / "p"
    return project_with_tokens(
        root, model__dropout=0.0, training__optimizer="muon", training__batch_size=4,
        training__gradient_accumulation_steps=2, training__max_steps=24, training__eval_interval=8,
        training__checkpoint_interval=4,
    )  # fmt: skip


def launcher(project: Project, count: int, *arguments: str, restarts: int = 0) -> list[str]:
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", f"--max-restarts={restarts}"]
    return [sys.executable, *launch, "-m", "llm_studio", "train", str(project.root), *arguments]


def launched(project: Project, count: int, *arguments: str) -> str:
    done = subprocess.run(launcher(project, count, *arguments), capture_output=True, text=True, timeout=PATIENCE,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def until_step(log: Path, step: int, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + PATIENCE
    while not (log.exists() and log.read_text(encoding="utf-8").count('"event": "step"') >= step):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.02)


def curve(project: Project, run: str, steps: int = 24) -> list[float]:
    losses = {r["step"]: r["loss"] for r in records(project, run, "step")}
    assert list(losses) == list(range(1, steps + 1))
    return [*losses.values(), *(r["loss"] for r in records(project, run, "evaluation"))]


def same(one: list[float], other: list[float]) -> bool:
    return len(one) == len(other) and all(abs(a - b) < 2e-3 for a, b in zip(one, other, strict=True))


def test_the_curve_is_the_same_whatever_the_number_of_processes(project: Project) -> None:
    train(project, Job(), run="one")
    summary = launched(project, 2, "--name", "two")
    assert summary.count("is finished: 24 steps") == 1  # one process speaks
    launched(project, 4, "--name", "four", "--set", "training.sharded=true")
    for run in ("two", "four"):  # one process writes
        lines = (registry.folder(project, run) / moments.FILE).read_text(encoding="utf-8").splitlines()
        steps = [json.loads(line)["step"] for line in lines]
        assert steps == sorted(set(steps)) and {0, 24} <= set(steps)
        assert len(snapshots.listed(registry.folder(project, run))) == 25
    whole = curve(project, "one")
    assert whole[23] < whole[0] - 0.5
    assert same(whole, curve(project, "two")) and same(whole, curve(project, "four"))
    weights = [checkpoint.listed(registry.folder(project, run))[-1].weights() for run in ("one", "two", "four")]
    for name, tensor in weights[0].items():
        for other in weights[1:]:
            assert other[name].shape == tensor.shape
            off = (other[name] - tensor).abs()
            # AdamW may take a single number whose gradient is all but 0 the other way: at most two steps of its rate
            assert off.mean() < 1e-3 and off.max() < 2e-2, (name, off.mean(), off.max())


def test_a_run_goes_on_with_another_number_of_processes(project: Project) -> None:
    train(project, Job(), run="whole")
    train(project, StopAt(10).job, run="parts")
    again = ["--set", "training.activation_checkpointing=true"]  # changes no number
    launched(project, 2, "--name", "parts", "--resume", "--set", "training.sharded=true", *again)
    assert same(curve(project, "whole"), curve(project, "parts"))
    assert registry.read(project, "parts").state == "finished"


def test_a_killed_process_ends_all_and_the_launcher_goes_on(project: Project) -> None:
    name = "run-1"  # the next free one
    train(project, StopAt(3).job, run="older")  # not to be gone on with
    log = project.log_file(name)
    command = launcher(project, 2, "--set", "training.max_steps=160", restarts=1)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        until_step(log, 6, process)
        workers = [p for p in psutil.Process(process.pid).children() if p.environ().get("RANK") == "1"]
        workers[0].kill()
        _out, summary = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, summary
    assert registry.read(project, name).state == "finished" and registry.read(project, "older").step == 3
    assert "Another process of this run has ended" in summary
    train(project, Job(), run="calm", changes={"training.max_steps": 160})
    assert same(curve(project, "calm", 160)[:100], curve(project, name, 160)[:100])  # rounding grows from step to step


def test_two_servers_go_on_when_a_process_of_one_is_killed(project: Project) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=1", "--local-addr=127.0.0.1"]
    command = launcher(project, 1, "--name", "servers", "--set", "training.max_steps=40", restarts=3)
    command = [*(part for part in command if part != "--standalone")]
    command[3:3] = ["--nnodes=2", *place]
    servers = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    try:
        until_step(project.log_file("servers"), 6, servers[0])
        workers = [p for server in servers for p in psutil.Process(server.pid).children()]
        next(p for p in workers if p.environ().get("RANK") == "1").kill()
        summary = [server.communicate(timeout=PATIENCE)[1] for server in servers]
    finally:
        for server in servers:
            server.kill()
    assert [server.returncode for server in servers] == [0, 0], summary
    assert registry.read(project, "servers").state == "finished" and len(curve(project, "servers", 40)) > 40


JOINER = """
import datetime, sys, time
from llm_studio.jobs import Job
from llm_studio.training import distributed

distributed._JOINING = datetime.timedelta(seconds=float(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
with distributed.joined(Job()) as group:
    time.sleep(float(sys.argv[2]) if group.first else 0)
    print(group.broadcast({"said": "hello"})["said"], flush=True)
    sys.stdin.read()
"""


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@contextlib.contextmanager
def joining(
    store: dist.TCPStore, restarts: tuple[int, ...], within: float = 120.0, waits: float = 0.0
) -> "Generator[list[subprocess.Popen[str]]]":
    """Processes that join, as launchers start them that have counted so many restarts; killed in the end.

    They have so many seconds to come, and the first waits so many before it says something.
    """
    shared = {"WORLD_SIZE": str(len(restarts)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port),
              "TORCHELASTIC_RUN_ID": "1", "TORCHELASTIC_USE_AGENT_STORE": "True"}  # fmt: skip
    own = [{"RANK": str(rank), "TORCHELASTIC_RESTART_COUNT": str(count)} for rank, count in enumerate(restarts)]
    started = [
        subprocess.Popen([sys.executable, "-c", JOINER, str(within), str(waits)], env={**os.environ, **shared, **one},
                         text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for one in own
    ]  # fmt: skip
    try:
        assert {said(process) for process in started} == {"ready"}
        for process in reversed(started):  # the first comes last
            print(file=process.stdin, flush=True)
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def test_processes_find_each_other_whatever_those_before_them_left_and_their_launchers_count() -> None:
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for restarts in ((0, 0), (0, 1)):
        with joining(store, restarts) as started:
            for process in started:
                assert said(process) == "hello"


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_process_that_waits_for_others_ends_when_requested_to(rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    launched_as = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port),
                   "TORCHELASTIC_USE_AGENT_STORE": "True"}  # fmt: skip
    for name, value in launched_as.items():
        monkeypatch.setenv(name, value)
    job = Job()
    job.request_stop()
    with pytest.raises(Cancelled), joined(job):
        pass


def test_those_that_have_come_wait_longer_for_one_that_has_much_to_do_than_for_one_that_never_comes() -> None:
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with joining(store, (0, 0), within=8, waits=10) as started:
        for process in started:
            assert said(process) == "hello"


def test_sequences_that_cannot_be_shared_out_are_refused() -> None:
    assert ALONE.part_of(7) == slice(0, 7)
    assert [ProcessGroup(rank, 4).part_of(8) for rank in range(4)] == [slice(n, n + 2) for n in (0, 2, 4, 6)]
    with pytest.raises(TrainingError, match=r"8 sequences.*3 processes.*multiple of 3"):
        ProcessGroup(0, 3).part_of(8)


@pytest.mark.parametrize(("batch_size", "micro_batches", "processes"), [(4, 8, 4), (32, 1, 4), (32, 6, 4), (4, 3, 1)])
def test_no_two_micro_batches_of_a_step_have_the_same_number(
    batch_size: int, micro_batches: int, processes: int
) -> None:
    sequences = batch_size * micro_batches
    numbers: list[int] = []
    for rank in range(processes):
        group = ProcessGroup(rank, processes)
        own = group.part_of(sequences)
        first = group.first_micro_batch(batch_size, micro_batches)
        numbers += range(first, first + -(-(own.stop - own.start) // batch_size))
    assert len(set(numbers)) == len(numbers)
    if sequences // processes % batch_size == 0:
        assert sorted(numbers) == list(range(micro_batches))
