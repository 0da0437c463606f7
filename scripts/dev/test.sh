# ./dev test: set up, build, run the tests, and close with the counts.

test_usage() {
  cat <<'HELP'
Usage: ./dev test [options]

Sets up if needed, builds the release preset with warnings as errors and runs its
tests, those against real RELION included; then builds the tests of the file
formats with AddressSanitizer and UBSan and runs them again. The last line is
  N passed, N failed, N skipped
and the exit status is 1 if a test failed or none ran.

  --long            run the tests labelled "long" too
  --label REGEX     only tests with a label that matches
  --filter REGEX    only tests whose name matches
  --preset NAME     test another preset than release
  --no-sanitizers   leave out the sanitizer run, as the three above do
  --jobs N          parallel compilers
  -h, --help        this text
HELP
}

test_main() {
  local preset=release jobs='' long=no sanitizers=yes selection=()
  while (($#)); do
    case $1 in
      --long) long=yes ;;
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
  build_main --preset "$preset" ${jobs:+--jobs "$jobs"}
  local reports=() status=0
  test_run "$preset" || status=1
  if [[ $sanitizers == yes ]]; then
    build_preset asan-ubsan "$jobs"
    test_run asan-ubsan || status=1
  fi
  # The counts come from what ctest wrote; this line closes the run.
  python3 "$root/scripts/dev/count_tests.py" "${reports[@]}" || status=1
  return $status
}

# test_run PRESET: runs ctest there with the selection and adds its JUnit file to the reports.
test_run() {
  local report=$root/build/$1/tests.xml start=$SECONDS status=0
  rm -f "$report"
  say "running the $1 tests"
  # Tests use several threads or MPI ranks each; those that do say so to ctest (PROCESSORS).
  ctest --test-dir "build/$1" --no-tests=error --output-on-failure --parallel "$(cores)" --output-junit "$report" "${selection[@]}" ||
    status=1
  say "$1 tests took $((SECONDS - start)) s"
  reports+=("$report")
  return $status
}
