# ./dev test: set up, build, run the tests, and close with the counts.

test_usage() {
  cat <<'HELP'
Usage: ./dev test [options]

Sets up if needed, builds the release preset with warnings as errors and runs its
tests, those against real RELION included; then builds the tests of the file
formats with AddressSanitizer and UBSan and runs them again. The last line is
  N passed, N failed, N skipped
and the exit status is 1 if a test failed or none ran.

  --long            run the tests labelled "long" too, and write the table of the
                    faults that cryored survives (docs/faults.md) to build/faults.md
  --sanitize        instead of all that: the tests of daemon and plugin with
                    AddressSanitizer and UBSan, then with ThreadSanitizer
  --label REGEX     only tests with a label that matches
  --filter REGEX    only tests whose name matches
  --preset NAME     test another preset than release
  --no-sanitizers   leave out the sanitizer run, as the three above do
  --jobs N          parallel compilers
  -h, --help        this text
HELP
}

test_main() {
  local preset=release jobs='' long=no sanitizers=yes sanitize=no selection=()
  while (($#)); do
    case $1 in
      --long) long=yes ;;
      --sanitize) sanitize=yes ;;
      --label) selection+=(-L "$(option_value "$@")") || exit 2; sanitizers=no; shift ;;
      --filter) selection+=(-R "$(option_value "$@")") || exit 2; sanitizers=no; shift ;;
      --preset) preset=$(option_value "$@") || exit 2; sanitizers=no; shift ;;
      --no-sanitizers) sanitizers=no ;;
      --jobs) jobs=$(option_value "$@") || exit 2; shift ;;
      -h | --help) test_usage; return ;;
      *) die_usage "./dev test: unknown option '$1'; see ./dev test --help" ;;
    esac
    shift
  done
  [[ $long == yes ]] || selection+=(-LE '^long$')

  source "$root/scripts/dev/build.sh"
  local reports=() status=0
  if [[ $sanitize == yes ]]; then
    test_daemon_sanitized || status=1
    python3 "$root/scripts/dev/count_tests.py" "${reports[@]}" || status=1
    return $status
  fi
  build_main --preset "$preset" ${jobs:+--jobs "$jobs"}
  test_run "$preset" || status=1
  if [[ $long == yes ]] && python3 "$root/scripts/dev/fault_table.py" "${reports[@]}" >"$root/build/faults.md"; then
    say "the table of faults is in build/faults.md"
  fi
  if [[ $sanitizers == yes ]]; then
    build_preset asan-ubsan "$jobs"
    test_run asan-ubsan || status=1
  fi
  # The counts come from what ctest wrote; this line closes the run.
  python3 "$root/scripts/dev/count_tests.py" "${reports[@]}" || status=1
  return $status
}

# test_daemon_sanitized: what has threads and sockets, under each sanitizer. The network is left out, as LibTorch is
# not instrumented; a built-in denoiser stands in for it.
test_daemon_sanitized() {
  local name status=0 found=$root/build/sanitizer-reports
  source "$root/scripts/dev/setup.sh"
  setup_main
  rm -rf "$found"
  mkdir -p "$found"
  # A daemon in the background has nobody who reads its stderr: what the sanitizers find goes to files.
  export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:log_path=$found/tsan"
  export ASAN_OPTIONS="log_path=$found/asan" UBSAN_OPTIONS="print_stacktrace=1:log_path=$found/ubsan"
  for name in asan-ubsan-daemon tsan; do
    build_preset "$name" "$jobs"
    test_run "$name" || status=1
  done
  if compgen -G "$found/*" >/dev/null; then
    head -n 60 "$found"/* >&2
    warn "what the sanitizers found is in build/sanitizer-reports"
    status=1
  fi
  return $status
}

# test_run PRESET: runs ctest there with the selection and adds its JUnit file to the reports.
test_run() {
  local report=$root/build/$1/tests.xml start=$SECONDS status=0
  rm -f "$report"
  say "running the $1 tests"
  # Tests use several threads or MPI ranks each; those that do say so to ctest (PROCESSORS).
  ctest --test-dir "build/$1" --no-tests=error --output-on-failure --test-output-size-passed 16384 --parallel "$(cores)" --output-junit "$report" "${selection[@]}" ||
    status=1
  say "$1 tests took $((SECONDS - start)) s"
  reports+=("$report")
  return $status
}
