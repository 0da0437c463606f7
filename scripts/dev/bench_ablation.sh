# ./dev bench ablation: the denoiser trained with one choice changed at a time.

bench_ablation_usage() {
  cat <<'HELP'
Usage: ./dev bench ablation --pairs MIX [options] [VARIANT...] [-- options of cryored train]

Trains the denoiser once per variant, one run after the other, all for the same steps and validated on the same
held-out structures of MIX, and prints a table in Markdown (docs/training.md, "Ablation"). Runs that are finished are
kept, a run that was stopped goes on.

  --pairs MIX          folder of shards (docs/training.md, "Pairs")
  --surrogate DIR      shards for the variant surrogate, trained on these alone
  --gaussian DIR       shards for the variant gaussian, trained on these alone
  --out DIR            a folder for each run (default: ablation-bench)
  --table              train nothing, print the table of what is there
  --list               names the variants
  -h, --help           this text

Every run has --width 8 --steps 500 --batch 2 --average 0.99 --warm-up 50 --validation-examples 32 --validate-every 250
--threads 1, where the options after -- do not say otherwise.
HELP
}

# Name and what differs from the baseline.
ablation_variants() {
  cat <<'VARIANTS'
baseline
seed-2 --seed 2
seed-3 --seed 3
norm-none --norm none
norm-group --norm group
relu --activation relu
leaky-relu --activation leaky-relu
residual-blocks --residual-blocks
strided --down strided
trilinear --up trilinear
deviation --inputs map,deviation
fsc-input --inputs map,fsc
mask-head --mask-head
target-fsc --target fsc
target-cref --target cref
loss-map --loss map
loss-shells --loss shells
no-turn --no-turn
width-16 --width 16
levels-4 --levels 4
surrogate --pairs SURROGATE
gaussian --pairs GAUSSIAN
VARIANTS
}

# Options of which the later one counts; each with its value, or alone where none follows.
ablation_merge() {
  local -A value=()
  local order=()
  while (($#)); do
    local name=$1 key=${1/#--no-/--} text=
    shift
    if (($#)) && [[ $1 != --* ]]; then text=$1; shift; fi
    [[ -v value[$key] ]] || order+=("$key")
    value[$key]=$name${text:+$'\n'$text}
  done
  local key
  for key in "${order[@]}"; do printf '%s\n' "${value[$key]}"; done
}

bench_ablation() {
  local pairs= surrogate= gaussian= out=ablation-bench table=no chosen=() more=()
  while (($#)); do
    case $1 in
      -h | --help) bench_ablation_usage; return ;;
      --list) ablation_variants; return ;;
      --table) table=yes; shift ;;
      --pairs | --surrogate | --gaussian | --out)
        (($# > 1)) || die_usage "./dev bench ablation: $1 needs a folder"
        printf -v "${1#--}" %s "$2"
        shift 2 ;;
      --) shift; more=("$@"); break ;;
      -*) die_usage "./dev bench ablation: no option $1; those of cryored train stand after --" ;;
      *)
        ablation_variants | cut -d' ' -f1 | grep -qxF -- "$1" || die_usage "./dev bench ablation: no variant '$1'; --list names them"
        chosen+=("$1"); shift ;;
    esac
  done
  if [[ $table == no ]]; then
    [[ -n $pairs ]] || die_usage "./dev bench ablation: --pairs is required"
    source "$root/scripts/dev/build.sh"
    build_main cryored
    local program name change words folder
    program=$(built_program cryored)
    while read -r name change; do
      [[ ${#chosen[@]} == 0 || " ${chosen[*]} " == *" $name "* ]] || continue
      read -ra change <<<"$change"
      case $name in
        surrogate) [[ -n $surrogate ]] || continue; change=(--pairs "$surrogate") ;;
        gaussian) [[ -n $gaussian ]] || continue; change=(--pairs "$gaussian") ;;
      esac
      folder=$out/$name
      mapfile -t words < <(ablation_merge --pairs "$pairs" --held-out "$pairs" --width 8 --steps 500 --batch 2 \
        --average 0.99 --warm-up 50 --validation-examples 32 --validate-every 250 --threads 1 --device cpu \
        "${more[@]}" "${change[@]}" --run "$folder")
      mkdir -p "$folder"
      [[ -f $folder/finished && $(<"$folder/finished") == "${words[*]}" ]] && continue
      # Processor time of every session on a line of its own; what the program says goes where it always does.
      { TIMEFORMAT='%U %S'; time "$program" train "${words[@]}" 2>&3; } 3>&2 2>>"$folder/processor_seconds"
      printf '%s\n' "${words[*]}" >"$folder/finished"
    done < <(ablation_variants)
  fi
  python3 "$root/scripts/dev/ablation_table.py" "$out" <(ablation_variants)
}
