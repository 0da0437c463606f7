# ./dev setup: Debian packages and LibTorch.

setup_usage() {
  cat <<'HELP'
Usage: ./dev setup [options]

Installs the Debian 12 packages of scripts/setup/debian-12.txt that are missing
(root is needed for that; without root it prints the exact command and stops
with exit 2) and finds LibTorch:
  1. the folder given by --torch, or by CRYORED_TORCH_ROOT,
  2. Torch_DIR or CMAKE_PREFIX_PATH, if one of them leads to a usable LibTorch,
  3. the PyTorch of the python3 on PATH, if usable (2.7 or newer, C++11 ABI),
  4. else the pinned wheels of scripts/setup/libtorch.txt, unpacked under
     build/deps/libtorch. No Python is changed.
Done before, it only checks, in less than a second.

  --torch WHERE     auto, wheel (step 4 at once), or a folder with include/ and
                    lib/ of LibTorch; default: as last time, at first auto
  --wheels DIR      take the wheels from DIR instead of downloading them; also
                    CRYORED_WHEELS. Their SHA-256 is checked all the same.
  --gpu WHEN        for step 4, the GPU half of LibTorch with NVIDIA's libraries
                    (1.8 GB more to download): auto (default, where nvidia-smi
                    is), yes or no
  --no-packages     do not look at Debian packages (another distribution: bring
                    the same libraries yourself)
  --list            print the Debian packages and stop
  -h, --help        this text
HELP
}

setup_main() {
  local torch=${CRYORED_TORCH_ROOT:-} wheels=${CRYORED_WHEELS:-} packages=yes
  while (($#)); do
    case $1 in
      --torch) torch=$(option_value "$@") || exit 2; shift ;;
      --wheels) wheels=$(option_value "$@") || exit 2; shift ;;
      --gpu) setup_gpu=$(option_value "$@") || exit 2; shift ;;
      --no-packages) packages=no ;;
      --list) setup_package_list; return ;;
      -h | --help) setup_usage; return ;;
      *) die_usage "./dev setup: unknown option '$1'; see ./dev setup --help" ;;
    esac
    shift
  done
  case ${setup_gpu:-auto} in auto | yes | no) ;; *) die_usage "--gpu $setup_gpu: allowed are auto, yes and no" ;; esac
  [[ $(uname -sm) == "Linux x86_64" ]] || die "cryored builds on Linux x86_64, this is $(uname -sm)"
  [[ $packages == no ]] || setup_packages
  source "$root/scripts/dev/torch.sh"
  # What was chosen with --torch holds for later commands too.
  if [[ -z $torch ]]; then
    torch_location || true
    torch=${torch_where:-auto}
  fi
  setup_torch "$torch" "$wheels"
}

setup_package_list() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$root/scripts/setup/debian-12.txt"; }

# setup_missing: listed packages that are not installed.
setup_missing() {
  comm -23 <(setup_package_list | sort -u) \
    <(dpkg-query -W -f='${Package} ${db:Status-Status}\n' 2>/dev/null | awk '$2 == "installed" {print $1}' | sort -u)
}

setup_packages() {
  if ! have dpkg-query || ! have apt-get; then
    printf 'This is not a Debian system. Install the equivalents of these Debian 12 packages:\n' >&2
    setup_package_list | sed 's/^/  /' >&2
    die_usage 'then run the command again, with "./dev setup --no-packages" first.'
  fi
  local missing
  mapfile -t missing < <(setup_missing)
  ((${#missing[@]})) || return 0

  local install="apt-get install -y --no-install-recommends ${missing[*]}"
  if [[ $(id -u) != 0 ]]; then
    printf 'These Debian packages are missing, and installing them needs root. Run as root:\n\n' >&2
    printf '  apt-get update && %s\n\n' "$install" >&2
    die_usage 'then run the command again.'
  fi
  local version
  version=$(. /etc/os-release && printf '%s %s' "${ID:-unknown}" "${VERSION_ID:-}")
  [[ $version == "debian 12" ]] || warn "the package list is made for Debian 12, this is '$version'"

  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  local log=$root/build/deps/apt.log start=$SECONDS
  mkdir -p "$root/build/deps"
  # The package index may be old or absent on a fresh machine; one bad third-party source is no reason to stop.
  apt-get update >"$log" 2>&1 || warn "apt-get update had errors, see $log"
  if ! DEBIAN_FRONTEND=noninteractive $install -o Dpkg::Use-Pty=0 2>&1 | tee -a "$log" | setup_apt_progress; then
    tail -n 15 "$log" >&2
    die "apt-get install failed; the whole output is in $log"
  fi
  say "packages installed in $((SECONDS - start)) s"
}

# setup_apt_progress: one line for every 20 packages unpacked or set up.
setup_apt_progress() {
  awk '/ newly installed/ {print "  " $0; fflush()}
       /^Need to get/ {print "  " $0; fflush()}
       /^Unpacking / {if (++n % 20 == 0) {print "  unpacked " n; fflush()}}
       /^Setting up / {if (++m % 20 == 0) {print "  set up " m; fflush()}}'
}
