#!/usr/bin/env bash
# Starts RELION, or any command, so that its --external_reconstruct calls cryored.
#
#   CRYORED_BIN=/opt/cryored/bin relion_scripts/workstation.sh                 # the RELION GUI
#   relion_scripts/workstation.sh mpirun -n 3 relion_refine_mpi ... --external_reconstruct
#
# CRYORED_BIN     folder of cryored and cryored-reconstruct; without it those of PATH
# CRYORED_WORDS   options for every reconstruction, as "--cleanup --threads 4"
set -euo pipefail

if [[ -n ${CRYORED_BIN:-} ]]; then
  cryored=$CRYORED_BIN/cryored
else
  cryored=$(command -v cryored || true)
fi
if [[ -z $cryored || ! -x $cryored ]]; then
  echo "workstation.sh: cryored: found ${cryored:-nothing in PATH}; allowed: the program cryored." \
    "Remedy: set CRYORED_BIN to the folder that holds cryored and cryored-reconstruct" >&2
  exit 2
fi

read -ra words <<<"${CRYORED_WORDS:-}"
# An assignment of its own: inside eval a failure would go unseen.
variable=$("$cryored" env -- "${words[@]}")
eval "$variable"

# A wrong option in the variable would otherwise stop the first iteration of a job hours later.
"$cryored" config "${words[@]}" >/dev/null

if (($# == 0)); then set -- relion; fi
exec "$@"
