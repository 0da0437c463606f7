# ./dev fuzz: fuzzes the parsers of files that come from outside.

fuzz_usage() {
  cat <<'HELP'
Usage: ./dev fuzz [TARGET] [options of libFuzzer]

Builds tests/fuzz with clang's libFuzzer, AddressSanitizer and UBSan, and runs the
target (all of them without TARGET) on tests/fuzz/corpus/TARGET; what it finds
new grows in build/fuzz/corpus/TARGET. A crash ends it and leaves the input in
build/fuzz. Needs Debian's packages clang-14 and libclang-rt-14-dev.

  --list            the targets
  --seconds N       how long each runs (default 60)
  -h, --help        this text
HELP
}

fuzz_targets() {
  local file
  # Each target has a corpus of its own.
  for file in tests/fuzz/corpus/*/; do
    [[ -e $file ]] || continue
    basename "$file"
  done
}

fuzz_main() {
  local target='' seconds=60 options=()
  while (($#)); do
    case $1 in
      --list) fuzz_targets; return ;;
      --seconds) seconds=$(option_value "$@") || exit 2; shift ;;
      -h | --help) fuzz_usage; return ;;
      -*) options+=("$1") ;;
      *) target=$1 ;;
    esac
    shift
  done
  [[ $seconds =~ ^[1-9][0-9]*$ ]] || die_usage "--seconds $seconds: a whole number above 0 is needed"
  local targets
  mapfile -t targets < <(fuzz_targets)
  if [[ -n $target ]]; then
    [[ -e tests/fuzz/fuzz_$target.cpp ]] || die_usage "no fuzz target '$target'; there are: ${targets[*]}"
    targets=("$target")
  fi
  ((${#targets[@]})) || die "there are no fuzz targets in tests/fuzz"
  have clang++-14 || die_usage "fuzzing needs clang's libFuzzer: apt-get install clang-14 libclang-rt-14-dev"

  source "$root/scripts/dev/setup.sh"
  setup_main
  # Only core/ is configured; the parsers are compiled again by clang, see tests/fuzz/CMakeLists.txt.
  say "building the fuzz targets"
  cmake -S . -B build/fuzz -G Ninja -DCRYORED_LAYERS=core -DCRYORED_TEST_PARTS=fuzz -DCRYORED_FUZZ=ON \
    -DCRYORED_CUDA=OFF -DCRYORED_CLANGXX="$(command -v clang++-14)" >build/fuzz-configure.log 2>&1 || {
    tail -n 20 build/fuzz-configure.log >&2
    die "configuring the fuzz targets failed"
  }
  cmake --build build/fuzz --parallel "$(build_jobs)" --target fuzzers || die "the fuzz targets do not build"
  for target in "${targets[@]}"; do
    mkdir -p "build/fuzz/corpus/$target"
    say "fuzzing $target for $seconds s"
    "build/fuzz/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 \
      -print_final_stats=1 -artifact_prefix="build/fuzz/$target-" "${options[@]}" \
      "build/fuzz/corpus/$target" "tests/fuzz/corpus/$target" ||
      die "fuzz_$target found an input that fails; it is in build/fuzz/$target-*"
  done
}
