# ./dev bench: benchmarks against RELION's own programs.

bench_usage() {
  cat <<'HELP'
Usage: ./dev bench NAME [options of the benchmark]

Sets up and builds if needed, then runs one benchmark:
  reconstruct   time and memory against relion_external_reconstruct, on the same files
  denoise       time per block of the denoiser, and the share of this machine's peak
  phase         particles per second of the phase network, and the share of this machine's peak
  simulate      projections per second against relion_project
  refine        the refinement benchmark, benchmarks/refine/benchmark.json (cryored evaluate benchmark), results into
                benchmarks/refine/results; with structure files: cryored evaluate refine, plain, RED and CW-RED
  guard         negative controls: noise alone, a wrong and a mirrored start map
  ablation      the denoiser trained with one choice changed at a time
  daemon        what a request to a warm daemon adds to the computation; start-up of the plugin

  --list            the benchmarks of this build
  -h, --help        this text; "./dev bench NAME --help" tells the benchmark's own options
HELP
}

bench_main() {
  local name=${1:-} words=()
  case $name in
    -h | --help) bench_usage; return ;;
    '')
      bench_usage >&2
      exit 2
      ;;
    --list) printf '%s\n' reconstruct denoise phase simulate daemon refine guard ablation; return ;;
    reconstruct | denoise | phase | simulate | daemon) program=bench_$name ;;
    refine)
      # Structures make it a table of one's own; without any it is the benchmark of this repository.
      program=cryored words=(evaluate benchmark --benchmark "$root/benchmarks/refine/benchmark.json")
      local word
      for word in "${@:2}"; do
        case $word in
          --benchmark | --results) die_usage "./dev bench refine: $word is set; cryored evaluate benchmark takes another" ;;
          --*) ;;
          *.pdb | *.cif | *.ent | *.pdb.gz | *.cif.gz | *.ent.gz) words=(evaluate refine) ;;
        esac
      done
      if [[ ${words[1]} == benchmark ]]; then words+=(--results "$root/benchmarks/refine/results"); fi
      ;;
    guard)
      shift
      source "$root/scripts/dev/bench_guard.sh"
      bench_guard "$@"
      return
      ;;
    ablation)
      shift
      source "$root/scripts/dev/bench_ablation.sh"
      bench_ablation "$@"
      return
      ;;
    *) die_usage "./dev bench: no benchmark '$name'; allowed are reconstruct, denoise, phase, simulate, daemon, refine, guard and ablation" ;;
  esac
  shift
  source "$root/scripts/dev/build.sh"
  build_main cryored cryored-reconstruct "$program"
  program=$(built_program "$program")
  # Measured is the computation, not what another run has loaded; and nothing stays behind.
  export CRYORED_NO_DAEMON=${CRYORED_NO_DAEMON-yes}
  exec "$program" "${words[@]}" "$@"
}
