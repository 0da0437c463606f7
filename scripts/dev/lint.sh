# ./dev lint: checks that need no run of our programs, and the help texts.

lint_usage() {
  cat <<'HELP'
Usage: ./dev lint [options] [CHECK...]

Checks, all of them or those named:
  format    clang-format 14 has nothing to change
  layers    no file includes a layer above its own; notes files over 600 lines
  help      docs/help holds the --help text of each command and program
            (programs: of the release build, where there is one)
  tidy      clang-tidy 14 with .clang-tidy, on the files changed since --base

  --base REVISION   for tidy: files changed since REVISION (default HEAD)
  --all             for tidy: all files
  --update-help     write docs/help anew instead of checking it
  -h, --help        this text
HELP
}

lint_main() {
  local checks=() base=HEAD update=no check failed=()
  while (($#)); do
    case $1 in
      --base) base=$(option_value "$@") || exit 2; shift ;;
      --all) base= ;;
      --update-help) update=yes ;;
      -h | --help) lint_usage; return ;;
      format | layers | help | tidy) checks+=("$1") ;;
      *) die_usage "./dev lint: no check or option '$1'; see ./dev lint --help" ;;
    esac
    shift
  done
  if [[ $update == yes ]]; then
    lint_help update
    return
  fi
  ((${#checks[@]})) || checks=(format layers help tidy)
  for check in "${checks[@]}"; do
    if "lint_$check"; then say "lint $check: good"; else failed+=("$check"); fi
  done
  ((${#failed[@]} == 0)) || die "lint found faults: ${failed[*]}"
}

lint_format() {
  have clang-format-14 || die_usage "clang-format-14 is missing: run ./dev setup"
  local files
  mapfile -t files < <(cxx_sources)
  clang-format-14 --dry-run -Werror "${files[@]}" || {
    printf 'run ./dev format\n' >&2
    return 1
  }
}

lint_layers() { cxx_sources | python3 scripts/dev/check_layers.py; }

# lint_help [update]: compares, or writes, docs/help/NAME.txt for ./dev, its commands and the programs.
lint_help() {
  local folder=docs/help work=build/help name line status=0
  rm -rf "$work"
  mkdir -p "$work" "$folder"
  ./dev --help >"$work/dev.txt"
  for name in setup build test demo bench lint format fuzz; do
    ./dev "$name" --help >"$work/dev-$name.txt"
  done
  # One program a line: name of the text, program, arguments.
  while read -r name program line; do
    [[ -n $name && $name != '#'* ]] || continue
    local path
    path=$(find build/release -type f -name "$program" -perm -u+x -not -path '*/CMakeFiles/*' 2>/dev/null | head -n 1) || true
    if [[ -z $path ]]; then
      cp "$folder/$name.txt" "$work/" 2>/dev/null || true
      if [[ -e build/release/CMakeCache.txt ]]; then
        warn "lint help: build/release has no $program; run ./dev build"
        status=1
      else
        warn "lint help: nothing is built, docs/help/$name.txt is not compared"
      fi
      continue
    fi
    # shellcheck disable=SC2086 # the arguments are words
    COLUMNS=100 "$path" $line --help >"$work/$name.txt" || {
      warn "$program $line --help failed"
      status=1
    }
  done <"$root/docs/help/programs"
  if [[ ${1:-} == update ]]; then
    rm -f "$folder"/*.txt
    cp "$work"/*.txt "$folder/"
    say "docs/help written"
  elif ! diff -ru --exclude=programs "$folder" "$work"; then
    printf 'docs/help is not what the programs print; run ./dev lint --update-help\n' >&2
    status=1
  fi
  return $status
}

lint_tidy() {
  have clang-tidy-14 || die_usage "clang-tidy-14 is missing: run ./dev setup"
  [[ -e build/release/compile_commands.json ]] || die_usage "clang-tidy needs the compile commands: run ./dev build first"
  local files
  mapfile -t files < <(cxx_sources "$base" | grep '\.cpp$' | while read -r file; do
    # Files outside the release build (fuzz targets, probes) have no compile command.
    ! grep -qF "$root/$file\"" build/release/compile_commands.json || printf '%s\n' "$file"
  done)
  ((${#files[@]})) || {
    say "lint tidy: no changed files"
    return 0
  }
  say "clang-tidy on ${#files[@]} files"
  printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(build_jobs)" clang-tidy-14 --quiet -p build/release \
    --extra-arg=-Wno-unknown-warning-option 2>&1 |  # the compile commands are GCC's
    grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter'
  # The status of the checks, not of the filter that hides the statistics.
  return "${PIPESTATUS[1]}"
}
