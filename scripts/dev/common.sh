# Functions that all commands of ./dev share. Sourced, never run.

say() { printf '[%s] %s\n' "$(date +%H:%M:%S)" "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
die_usage() {
  printf '%s\n' "$*" >&2
  exit 2
}
have() { command -v "$1" >/dev/null 2>&1; }

# option_value OPTION [VALUE]: the value of an option, or misuse when it lacks one.
option_value() {
  [[ $# -ge 2 && -n $2 ]] || die_usage "$1 needs a value"
  printf '%s' "$2"
}

# cores: processors that this process may use.
cores() { nproc; }

# build_jobs: parallel compilers that fit the memory; a source that includes LibTorch takes 1.5 GB.
build_jobs() {
  local by_memory
  by_memory=$(awk '/^MemAvailable:/ {print int($2 / 1600000)}' /proc/meminfo)
  local jobs
  jobs=$(cores)
  ((by_memory < jobs)) && jobs=$by_memory
  ((jobs < 1)) && jobs=1
  printf '%s' "$jobs"
}

# cxx_sources [GIT_REVISION]: our C++ and CUDA sources, all of them or those changed since a revision.
cxx_sources() {
  if [[ -n ${1:-} ]]; then
    {
      git diff --name-only --diff-filter=d "$1" --
      git ls-files --others --exclude-standard
    } | sort -u | grep -E '\.(cpp|hpp|h|cu|cuh)$' || true
  else
    git ls-files --cached --others --exclude-standard -- '*.cpp' '*.hpp' '*.h' '*.cu' '*.cuh' | while read -r file; do
      [[ -e $file ]] && printf '%s\n' "$file"
    done
  fi
}

# torch_location: reads what set-up decided into torch_root and torch_runtime.
torch_location() {
  torch_root='' torch_runtime='' torch_where='' torch_key=''
  [[ -r build/deps/torch.env ]] || return 1
  source build/deps/torch.env
  [[ -e $torch_root/lib/libtorch_cpu.so ]]
}
