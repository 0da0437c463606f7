# ./dev build: configure and compile one preset.

build_usage() {
  cat <<'HELP'
Usage: ./dev build [options] [TARGET...]

Sets up if needed, then configures and compiles into build/PRESET.

  --preset NAME     release (default), debug, asan-ubsan, asan-ubsan-daemon, tsan or cuda
  --jobs N          parallel compilers (default: the cores, fewer if memory is short)
  --clean           remove build/PRESET first
  -h, --help        this text
HELP
}

build_main() {
  local preset=release jobs='' clean=no targets=()
  while (($#)); do
    case $1 in
      --preset) preset=$(option_value "$@") || exit 2; shift ;;
      --jobs) jobs=$(option_value "$@") || exit 2; shift ;;
      --clean) clean=yes ;;
      -h | --help) build_usage; return ;;
      -*) die_usage "./dev build: unknown option '$1'; see ./dev build --help" ;;
      *) targets+=("$1") ;;
    esac
    shift
  done
  [[ $jobs =~ ^[1-9][0-9]*$ || -z $jobs ]] || die_usage "--jobs $jobs: a whole number above 0 is needed"
  case $preset in
    release | debug | asan-ubsan | asan-ubsan-daemon | tsan | cuda) ;;
    *) die_usage "--preset $preset: allowed are release, debug, asan-ubsan, asan-ubsan-daemon, tsan and cuda" ;;
  esac
  [[ $clean == no ]] || rm -rf "$root/build/$preset"
  source "$root/scripts/dev/setup.sh"
  setup_main
  build_preset "$preset" "$jobs" "${targets[@]}"
}

# build_preset PRESET JOBS [TARGET...]: for commands that have set up already.
build_preset() {
  local preset=$1 jobs=$2 start=$SECONDS
  shift 2
  [[ -n $jobs ]] || jobs=$(build_jobs)
  torch_location || die "LibTorch is gone from ${torch_root:-build/deps}; run ./dev setup"
  local options=(-DCRYORED_TORCH_ROOT="$torch_root" -DCRYORED_TORCH_RUNTIME="$torch_runtime")
  ! have ccache || options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  local log=$root/build/$preset/configure.log targets=()
  (($# == 0)) || targets=(--target "$@")
  mkdir -p "$root/build/$preset"
  if ! cmake --preset "$preset" "${options[@]}" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    die "configuring the $preset build failed; the whole output is in $log"
  fi
  say "building $preset with $jobs compilers"
  cmake --build "build/$preset" --parallel "$jobs" "${targets[@]}" || die "the $preset build failed"
  say "$preset built in $((SECONDS - start)) s"
}

# built_program NAME [PRESET]: path of a program in the build folder.
built_program() {
  local name=$1 preset=${2:-release} path
  path=$(find "build/$preset" -type f -name "$name" -perm -u+x -not -path '*/CMakeFiles/*' | head -n 1)
  [[ -n $path ]] || die "the $preset build has no program $name"
  printf '%s' "$root/$path"
}
