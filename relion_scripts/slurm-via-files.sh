#!/usr/bin/env bash
# RELION's "Standard submission script" for Slurm where RELION runs on nodes without a GPU: a heterogeneous job, whose
# second part is one node with a GPU for a daemon. Files of the job's folder connect the two (docs/watching.md).
# RELION replaces the words between XXX. Lines to adapt are marked with "adapt".
#SBATCH --job-name=XXXnameXXX
#SBATCH --output=XXXoutfileXXX
#SBATCH --error=XXXerrfileXXX
#SBATCH --partition=XXXqueueXXX
#SBATCH --ntasks=XXXmpinodesXXX
#SBATCH --cpus-per-task=XXXthreadsXXX
#SBATCH --mem-per-cpu=4G
#SBATCH hetjob
# adapt: the partition with GPUs
#SBATCH --partition=gpu
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=4G
#SBATCH --gres=gpu:1
set -euo pipefail

# adapt: the folder of cryored and cryored-reconstruct, under the same path on all nodes
cryored_bin=${CRYORED_BIN:-/path/to/cryored/bin}
# adapt: options for every reconstruction, as (--cleanup --confidence-range 12:5)
words=()

if [[ ! -x $cryored_bin/cryored ]]; then
  echo "slurm-via-files.sh: $cryored_bin: no program cryored there. Remedy: adapt cryored_bin in the submission script" >&2
  exit 2
fi
variable=$("$cryored_bin/cryored" env -- --via-files "${words[@]}")
eval "$variable"
"$cryored_bin/cryored" config "${words[@]}" >/dev/null

# RELION has made the job's folder; its output goes there already.
srun --het-group=1 --export=ALL "$cryored_bin/cryored" daemon --daemon-name "slurm-${SLURM_JOB_ID:-0}" \
  --log XXXnameXXX/cryored.log --watch XXXnameXXX &
daemon=$!
trap 'kill "$daemon" 2>/dev/null && wait "$daemon" || true' EXIT

srun --het-group=0 --export=ALL XXXcommandXXX
