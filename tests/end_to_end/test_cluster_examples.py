"""The examples for schedulers are what these take, and give fmtag the shards 0 to N-1."""

import ast
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import ROOT

EXAMPLES = ROOT / "examples" / "cluster"


def documents(name: str) -> list[Any]:
    """Return the documents of a YAML file."""
    return list(yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")))


def test_the_jobs_of_kubernetes_agree_on_the_shards() -> None:
    """As many completions as shards, numbered by the index of the job; the merge comes second, with the same number."""
    shards, merge = documents("kubernetes.yaml")
    assert (shards["spec"]["completionMode"], shards["metadata"]["labels"]["step"]) == ("Indexed", "shards")
    (tag,), (join,) = (one["spec"]["template"]["spec"]["containers"] for one in (shards, merge))
    numbers = {one["env"][0]["value"] for one in (tag, join)}
    assert numbers == {str(shards["spec"]["completions"])}
    assert '--shard "$JOB_COMPLETION_INDEX/$SHARDS"' in tag["args"][0]
    for job in (shards, merge):
        spec = job["spec"]["template"]["spec"]
        assert spec["restartPolicy"] == "Never"
        assert {one["name"] for one in spec["containers"][0]["volumeMounts"]} <= {one["name"] for one in spec["volumes"]}


@pytest.fixture
def called(tmp_path: Path) -> Path:
    """A folder for PATH whose `fmtag` and `sbatch` write down what they are given; `fmtag` ends with 3."""
    for name, code in (("fmtag", 3), ("sbatch", 0)):
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/calls"\necho 17\nexit {code}\n')
        script.chmod(0o755)
    return tmp_path / "bin"


def run_script(called: Path, script: list[str], **variables: str) -> list[str]:
    """Run a script that must end with 0, and return what it called, one command a line."""
    environment = {"PATH": f"{called}{os.pathsep}{os.environ['PATH']}", **variables}
    subprocess.run(script, env=environment, check=True, capture_output=True)
    return (called.parent / "calls").read_text().splitlines()


@pytest.mark.parametrize("job", [0, 1])
def test_the_scripts_of_kubernetes_run(job: int, called: Path) -> None:
    """With the exit code 3, as some photos could not be read, a job is done all the same."""
    script = documents("kubernetes.yaml")[job]["spec"]["template"]["spec"]["containers"][0]["args"][0]
    (call,) = run_script(called, ["/bin/sh", "-c", script], SHARDS="3", JOB_COMPLETION_INDEX="2")
    expected = (
        "fmtag run /catalog --out /data/out/tags-2.csv --shard 2/3",
        "fmtag merge /data/out/tags-0.csv /data/out/tags-1.csv /data/out/tags-2.csv --out /data/tags.csv",
    )
    assert call.startswith(expected[job])


def test_the_script_of_slurm(called: Path, tmp_path: Path) -> None:
    """It submits an array and what depends on it; a task tags its shard, and the last job merges all."""
    script = ["bash", str(EXAMPLES / "slurm.sh"), str(tmp_path), str(tmp_path / "out"), "3"]
    array, after = run_script(called, script)
    assert "--array=0-2" in array
    assert "--dependency=afterok:17" in after
    task = run_script(called, script, SLURM_JOB_ID="5", SLURM_ARRAY_TASK_ID="1")[-1]
    assert task.startswith(f"fmtag run {tmp_path} --out {tmp_path}/out/tags-1.csv --shard 1/3")
    assert run_script(called, script, SLURM_JOB_ID="6")[-1].startswith(f"fmtag merge {tmp_path}/out/tags-0.csv")


def test_the_dag_of_airflow() -> None:
    """It is Python that maps a task over the shards from 0 on."""
    tree = ast.parse((EXAMPLES / "airflow_dag.py").read_text(encoding="utf-8"))
    assert "tag.expand(index=list(range(SHARDS)))" in ast.unparse(tree)


def test_the_files_for_ray() -> None:
    """A job of KubeRay that runs the engine, and a cluster for `ray up`."""
    (job,) = documents("ray/rayjob.yaml")
    assert job["kind"] == "RayJob"
    assert "--engine ray" in job["spec"]["entrypoint"]
    (cluster,) = documents("ray/cluster.yaml")
    assert {"cluster_name", "provider", "available_node_types"} <= cluster.keys()
