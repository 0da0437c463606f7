#!/bin/sh
# Has the map made by a daemon elsewhere that watches RELION's project (cryored daemon --watch; docs/watching.md), and
# waits for it. Needs nothing on this machine but a POSIX shell, awk, sed and coreutils:
#
#   export RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE="/path/to/cryored-wait.sh [options of cryored reconstruct]"
#
# CRYORED_VIA_FILES_TIMEOUT   seconds that the daemon may leave the request unanswered, or be silent (300)
set -u
unset CDPATH # cd would print where it led
fail() {
  echo "cryored-wait.sh: error: $*" >&2
  exit 1
}

case ${1:-} in -h | --help)
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
  exit
  ;;
esac

# RELION puts the STAR file last.
star=
for star; do :; done
case $star in *.star) ;; *) fail "${star:-no word}: allowed: a file that ends in .star, as the last word. Remedy: keep spaces out of RELION's folders" ;; esac
[ -f "$star" ] || fail "$star: no such file"
folder=$(cd "$(dirname "$star")" && pwd -P) || exit 1
name=$(basename "$star")
here=$(pwd -P)
case $folder/ in "${here%/}"/*) ;; *) fail "$star lies outside the working directory $here, from where a daemon elsewhere cannot find it" ;; esac
limit=${CRYORED_VIA_FILES_TIMEOUT:-300}
limit=${limit%%.*}

nonce=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
stem=$folder/${name%.star}
request=$stem.cryored-request.json
temporary=$folder/.cryored-$nonce.tmp
# shellcheck disable=SC2016  # awk's own variables
json=$(awk 'function text(t,  i, c, out) {
    for (i = 1; i <= length(t); i++) {
      c = substr(t, i, 1)
      out = out (c == "\\" || c == "\"" ? "\\" c : c == "\n" ? "\\n" : c == "\t" ? "\\t" : c)
    }
    return "\"" out "\""
  }
  BEGIN {
    printf "{\"protocol\": 1, \"nonce\": %s, \"star_size\": %d, \"pid\": %d, \"host\": %s,\n", text(ARGV[1]), ARGV[2], ARGV[3], text(ARGV[4])
    printf " \"job_root_levels\": %d, \"words\": [%s", gsub("/", "/", ARGV[5]), text(ARGV[6])
    for (i = 7; i < ARGC - 1; i++) printf ", %s", text(ARGV[i])
    printf "],\n \"environment\": {"
    for (n in ENVIRON)
      if (n ~ /^CRYORED_/ || n == "HOME" || n == "XDG_CONFIG_HOME" || n == "RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE")
        printf "%s%s: %s", count++ ? ", " : "", text(n), text(ENVIRON[n])
    print "},"
  }' "$nonce" "$(wc -c <"$star")" "$$" "$(uname -n)" "${folder#"${here%/}"}" "$name" "$@") || fail "awk failed"

# Another call may have put its request in the place of ours.
is_anothers() { case $(cat "$request" 2>/dev/null) in '' | *"$nonce"*) return 1 ;; esac; }
withdraw() { is_anothers || rm -f "$request"; }

# RELION may be killed without us: then our parent is another one. Where the shell of its system() stands in between,
# that shell's parent.
parent_of() { sed 's/.*) [A-Za-z] \([0-9]*\) .*/\1/' "/proc/$1/stat" 2>/dev/null; }
child=$$ parent=$(parent_of $$)
case $(tr '\0' ' ' 2>/dev/null <"/proc/$parent/cmdline") in *sh\ -c\ *"$star"*) child=$parent parent=$(parent_of "$parent") ;; esac

trap 'withdraw; rm -f "$temporary" "$stem.cryored-answer-$nonce"-*.json' EXIT
for signal in HUP INT TERM; do
  # shellcheck disable=SC2064  # this signal
  trap "echo 'cryored-wait.sh: error: ended by SIG$signal, the request is cancelled' >&2; exit 1" "$signal"
done

# The answer has one member a line.
value() { printf '%s\n' "$text" | sed -n 's/^ "'"$1"'": "\(.*\)",\{0,1\}$/\1/p'; }
number() { printf '%s\n' "$text" | sed -n 's/^ "'"$1"'": \([0-9]*\),\{0,1\}$/\1/p'; }
show() { printf '%b' "$(value "$1" | sed 's/\\"/"/g')"; }

beat=0 silent=-1 last=
waiting_for="a daemon that watches $folder, of this user ($(id -u); others' leave it), to accept $request"
while :; do
  [ "$beat" -eq 0 ] || [ -f "$request" ] || fail "$request was removed while this call waited: cancelled"
  [ "$beat" -eq 0 ] || ! is_anothers || fail "$request: another call has put its request in its place: cancelled. Remedy: see whether this job runs twice"
  [ -z "$parent" ] || [ "$(parent_of "$child")" = "$parent" ] || fail "the process that called this has ended: cancelled"
  beat=$((beat + 1))
  # Written anew each second: the daemon computes for callers that live.
  { printf '%s\n "umask": "%s", "beat": %d}\n' "$json" "$(umask)" "$beat" >"$temporary" && mv -f "$temporary" "$request"; } ||
    [ "$beat" -gt 1 ] || fail "$request: cannot be written"
  said=
  for answer in "$stem.cryored-answer-$nonce"-*.json; do
    text=$(cat "$answer" 2>/dev/null) || continue
    said=$said$text
    waiting_for="a sign of life of the daemon that wrote $answer"
    case $(value state) in done) break 2 ;; esac
  done
  if [ "$said" = "$last" ]; then silent=$((silent + 1)); else silent=0; fi
  last=$said
  [ "$silent" -lt "$limit" ] ||
    fail "waited $limit s (CRYORED_VIA_FILES_TIMEOUT) for $waiting_for. Remedy: see whether the daemon runs and watches this folder"
  sleep 1
done

withdraw # from here on nobody publishes for it, and the daemon removes its answer
code=$(number exit) result=$(value result) size=$(number result_size) waited=0
# Network file systems show a new file late.
while [ "$code" = 0 ] && [ -n "$result" ] && ! { [ -f "$folder/$result" ] && [ "$(($(wc -c <"$folder/$result")))" -eq "$size" ]; }; do
  [ "$waited" -lt "$limit" ] || fail "waited $limit s (CRYORED_VIA_FILES_TIMEOUT) to see $folder/$result on this machine"
  waited=$((waited + 1))
  sleep 1
done
show stderr >&2
show stdout
exit "${code:-1}"
