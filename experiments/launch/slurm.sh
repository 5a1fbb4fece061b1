#!/bin/bash
# A training on SLURM: one process a node, which sees all of the node's GPUs.
#
#   sbatch experiments/launch/slurm.sh RUN DATASET [OPTIONS of pdr train]
#
# Two minutes before the time is over, or when the job is preempted, the run saves at one step of all
# processes and ends with status 143; the job is then queued again and goes on with RUN.
#SBATCH --job-name=pdr
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

run=$1
shift
if [ -e "$run/recipe.json" ]; then
  words=(--resume "$run")
else
  words=("$@" --out "$run")
fi
status=0
srun pdr train "${words[@]}" || status=$?
if [ "$status" = 143 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
