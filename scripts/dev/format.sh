# ./dev format: formats the C++ sources in place.

format_usage() {
  cat <<'HELP'
Usage: ./dev format [options] [FILE...]

Formats the C++ and CUDA sources in place with clang-format 14 and .clang-format.

  --changed         only files changed since the last commit
  -h, --help        this text
HELP
}

format_main() {
  local files=() changed=
  while (($#)); do
    case $1 in
      --changed) changed=HEAD ;;
      -h | --help) format_usage; return ;;
      -*) die_usage "./dev format: unknown option '$1'; see ./dev format --help" ;;
      *) files+=("$1") ;;
    esac
    shift
  done
  have clang-format-14 || die_usage "clang-format-14 is missing: apt-get install clang-format-14"
  ((${#files[@]})) || mapfile -t files < <(cxx_sources "$changed")
  ((${#files[@]})) || return 0
  clang-format-14 -i "${files[@]}"
  say "formatted ${#files[@]} files"
}
