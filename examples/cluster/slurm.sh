#!/bin/bash
# Tag a catalog in shards on Slurm, a task of an array job each, then merge their outputs.
#
#     bash examples/cluster/slurm.sh /shared/catalog /shared/out 8
#
# Catalog and output folder lie on a file system that all nodes share; fmtag is on the PATH of the jobs.
# An exit code of 3 says that some photos could not be read, which their rows tell: it is no failure.
set -euo pipefail

if [ -z "${SLURM_JOB_ID:-}" ]; then # on the login node: submit both jobs
    catalog=$(realpath "$1") out=$(realpath "$2") shards=$3
    script=$(realpath "$0")
    mkdir -p "$out"
    array=$(sbatch --parsable --job-name=fmtag-shards --array="0-$((shards - 1))" --cpus-per-task=4 --mem=8G --requeue \
        --output="$out/shard-%a.log" "$script" "$catalog" "$out" "$shards")
    sbatch --job-name=fmtag-merge --dependency="afterok:${array%%;*}" --kill-on-invalid-dep=yes --cpus-per-task=1 --mem=2G \
        --output="$out/merge.log" "$script" "$catalog" "$out" "$shards"
    exit
fi

catalog=$1 out=$2 shards=$3 code=0
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    fmtag run "$catalog" --out "$out/tags-$SLURM_ARRAY_TASK_ID.csv" --shard "$SLURM_ARRAY_TASK_ID/$shards" \
        --workers "${SLURM_CPUS_PER_TASK:-1}" --wait 600 || code=$?
else
    outputs=()
    for ((index = 0; index < shards; index++)); do outputs+=("$out/tags-$index.csv"); done
    fmtag merge "${outputs[@]}" --out "$out/tags.csv" --changes "$out/changes.csv" --wait 600 || code=$?
fi
if [ "$code" = 3 ]; then code=0; fi
exit "$code"
