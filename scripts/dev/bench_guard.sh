# ./dev bench guard: refinements in which there is nothing to find, or that begin with the wrong map.

bench_guard_usage() {
  cat <<'HELP'
Usage: ./dev bench guard STRUCTURE OTHER [--out DIR] [options of cryored evaluate refine]

Three negative controls, each refined by RELION alone, with RED and with the default, the guard reporting in
every iteration (docs/guard.md):
  noise      particles of noise alone, the start map of STRUCTURE
  wrong      particles of STRUCTURE, the start map of OTHER
  mirrored   particles of STRUCTURE, its mirrored start map
STRUCTURE and OTHER are PDB or mmCIF files. Small by default: 300 particles, box 48, SNR 0.1, 3 iterations.
Finished refinements are kept: the same command goes on where it was.

  --out DIR     for results, one folder per control (default: guard-bench)
  -h, --help    this text
HELP
}

bench_guard() {
  local out=guard-bench files=() more=() failed=0
  while (($#)); do
    case $1 in
      -h | --help) bench_guard_usage; return ;;
      --out) out=${2:?"./dev bench guard: --out needs a folder"}; shift 2 ;;
      --*)
        more+=("$1")
        if (($# > 1)) && [[ $2 != --* ]]; then more+=("$2"); shift; fi
        shift ;;
      *) files+=("$1"); shift ;;
    esac
  done
  if ((${#files[@]} != 2)); then
    bench_guard_usage >&2
    exit 2
  fi
  source "$root/scripts/dev/build.sh"
  build_main cryored cryored-reconstruct
  local program settings
  program=$(built_program cryored)
  # The options of the caller come in place of these, not beside them: an option stands once.
  settings=()
  local name value
  while read -r name value; do
    [[ " ${more[*]-} " == *" $name "* ]] || settings+=("$name" "$value")
  done <<'DEFAULTS'
--count 300
--snr 0.1
--box 48
--max-iterations 3
--local-healpix-order 3
--modes plain,red,default
--reconstruct-options --guard=report
DEFAULTS
  "$program" evaluate refine "${files[0]}" "${settings[@]}" "${more[@]}" --noise-only --out "$out/noise" || failed=1
  "$program" evaluate refine "${files[0]}" "${settings[@]}" "${more[@]}" --start "${files[1]}" --out "$out/wrong" || failed=1
  "$program" evaluate refine "${files[0]}" "${settings[@]}" "${more[@]}" --start mirrored --out "$out/mirrored" || failed=1
  return "$failed"
}
