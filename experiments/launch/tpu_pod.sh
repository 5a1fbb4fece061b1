#!/bin/bash
# A training on a TPU pod: one process on each of its hosts, started by gcloud.
#
#   experiments/launch/tpu_pod.sh TPU ZONE RUN DATASET [OPTIONS of pdr train]
#
# All hosts need pdr-jax and the prepared data; RUN and the data lie on a disk that all of them mount.
# Started again, it goes on with RUN.
set -euo pipefail

tpu=$1 zone=$2 run=$3
shift 3
new=$(printf '%q ' pdr train "$@" --out "$run" --distributed on)
again=$(printf '%q ' pdr train --resume "$run" --distributed on)
gcloud compute tpus tpu-vm ssh "$tpu" --zone "$zone" --worker=all \
  --command "if [ -e $(printf %q "$run")/recipe.json ]; then $again; else $new; fi"
