# ./dev demo: from nothing to two refinements by real RELION and a page that compares them.

demo_usage() {
  cat <<'HELP'
Usage: ./dev demo [options of cryored-demo]

Sets up and builds if needed, then runs cryored-demo: it simulates a particle
stack from a protein structure, refines it with the real RELION, plain and
through cryored, compares both maps with the truth, prints a table and writes a
page with pictures. "./dev demo --program-help" shows the options of cryored-demo.
HELP
}

demo_main() {
  case "${1:-}" in
    -h | --help) demo_usage; return ;;
    --program-help) shift; set -- --help "$@" ;;
  esac
  source "$root/scripts/dev/build.sh"
  # The demo needs the programs, not the tests.
  build_main cryored cryored-reconstruct cryored-demo
  local program
  program=$(built_program cryored-demo)
  # Measured is the computation, not what another run has loaded; and nothing stays behind.
  export CRYORED_NO_DAEMON=${CRYORED_NO_DAEMON-yes}
  exec "$program" "$@"
}
