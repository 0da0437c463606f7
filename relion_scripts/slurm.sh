#!/usr/bin/env bash
# RELION's "Standard submission script" for Slurm, with cryored on the nodes of the job.
# RELION replaces the words between XXX. Lines to adapt are marked with "adapt".
#SBATCH --job-name=XXXnameXXX
#SBATCH --output=XXXoutfileXXX
#SBATCH --error=XXXerrfileXXX
#SBATCH --partition=XXXqueueXXX
#SBATCH --ntasks=XXXmpinodesXXX
#SBATCH --cpus-per-task=XXXthreadsXXX
#SBATCH --mem-per-cpu=4G
# adapt: for a node with a GPU write "#SBATCH" in the next line
##SBATCH --gres=gpu:1
set -euo pipefail

# adapt: the folder of cryored and cryored-reconstruct, under the same path on all nodes
cryored_bin=${CRYORED_BIN:-/path/to/cryored/bin}
# adapt: options for every reconstruction, as (--cleanup --confidence-range 12:5)
words=()

if [[ ! -x $cryored_bin/cryored ]]; then
  echo "slurm.sh: $cryored_bin: no program cryored there. Remedy: adapt cryored_bin in the submission script" >&2
  exit 2
fi
variable=$("$cryored_bin/cryored" env -- "${words[@]}")
eval "$variable"
"$cryored_bin/cryored" config "${words[@]}" >/dev/null

# --export=ALL hands the variable to every rank, whatever the cluster's default.
srun --export=ALL XXXcommandXXX
