# LibTorch for ./dev setup: finds or unpacks one and writes build/deps/torch.env.

readonly torch_minimum=2.7
readonly torch_pinned_folder=$root/build/deps/libtorch

# setup_torch WHERE WHEELS
setup_torch() {
  local where=$1 wheels=$2 candidate
  if torch_location && [[ ${torch_key:-} == "$(torch_state "$where")" ]]; then
    return 0
  fi
  case $where in
    wheel) torch_use_wheels "$wheels" "$where" ;;
    auto)
      while read -r candidate; do
        if torch_usable "$candidate"; then
          torch_write "$candidate" "" "$where"
          return
        fi
        warn "not used: $candidate ($torch_problem)"
      done < <(torch_candidates)
      torch_use_wheels "$wheels" "$where"
      ;;
    *)
      [[ -d $where ]] || die "--torch $where: no such folder; give the folder with include/ and lib/ of LibTorch, or 'wheel'"
      candidate=$(cd "$where" && pwd -P)
      torch_usable "$candidate" || die "--torch $where: $torch_problem"
      torch_write "$candidate" "" "$where"
      ;;
  esac
}

# torch_state WHERE: a digest of everything that decides which LibTorch is used; a change runs the search again.
torch_state() {
  {
    printf '%s\n' "$1" "${Torch_DIR:-}" "${CMAKE_PREFIX_PATH:-}" "$(torch_parts)" "$root"
    if [[ $1 == auto ]]; then torch_candidates; fi
    cat "$root"/scripts/setup/libtorch*.txt "$root/scripts/dev/torch.sh"
  } | sha256sum | cut -c1-64
}

# torch_candidates: folders that may hold a LibTorch of the user's, best first.
torch_candidates() {
  local prefix
  if [[ -n ${Torch_DIR:-} && -e $Torch_DIR/../../../lib/libtorch_cpu.so ]]; then
    (cd "$Torch_DIR/../../.." && pwd -P)
  fi
  while read -r prefix; do
    if [[ -n $prefix && -e $prefix/lib/libtorch_cpu.so ]]; then
      (cd "$prefix" && pwd -P)
    fi
  done < <(printf '%s\n' "${CMAKE_PREFIX_PATH:-}" | tr ';:' '\n\n')
  if have python3; then
    # Found without importing it, and not from the folder we stand in.
    prefix=$(cd / && python3 -c '
import importlib.util, os
spec = importlib.util.find_spec("torch")
print(os.path.dirname(spec.origin) if spec and spec.origin else "")' 2>/dev/null) || prefix=
    if [[ -n $prefix && -e $prefix/lib/libtorch_cpu.so ]]; then printf '%s\n' "$prefix"; fi
  fi
}

# torch_version FOLDER: major.minor of a LibTorch, from its headers.
torch_version() {
  local header
  for header in "$1"/include/torch/headeronly/version.h "$1"/include/torch/csrc/api/include/torch/version.h; do
    [[ -r $header ]] || continue
    awk '$1 == "#define" && $2 == "TORCH_VERSION_MAJOR" {major = $3}
         $1 == "#define" && $2 == "TORCH_VERSION_MINOR" {minor = $3}
         END {if (major != "" && minor != "") print major "." minor}' "$header"
    return
  done
}

# torch_usable FOLDER: new enough, same C++ ABI, and a small program builds and runs with it.
# Says why not in torch_problem.
torch_usable() {
  local folder=$1 version
  torch_problem=
  [[ -e $folder/lib/libtorch_cpu.so && -e $folder/include/ATen/ATen.h ]] || {
    torch_problem="it lacks lib/libtorch_cpu.so or include/ATen/ATen.h"
    return 1
  }
  version=$(torch_version "$folder")
  if [[ -z $version || $(printf '%s\n%s\n' "$torch_minimum" "$version" | sort -V | head -n 1) != "$torch_minimum" ]]; then
    torch_problem="its version is '${version:-unknown}', needed is $torch_minimum or newer"
    return 1
  fi
  say "trying LibTorch $version in $folder"
  local work=$root/build/deps/torch-probe
  mkdir -p "$work"
  if ! g++ -std=c++20 -D_GLIBCXX_USE_CXX11_ABI=1 -isystem "$folder/include" -isystem "$folder/include/torch/csrc/api/include" \
    "$root/cmake/torch_probe.cpp" -o "$work/probe" -L"$folder/lib" -ltorch_cpu -lc10 \
    -Wl,--disable-new-dtags,-rpath,"$folder/lib",-rpath-link,"$folder/lib" >"$work/log" 2>&1; then
    torch_problem="a test program does not build with it (another C++ ABI?), see $work/log"
    return 1
  fi
  if ! "$work/probe" >>"$work/log" 2>&1; then
    torch_problem="a test program does not run with it, see $work/log"
    return 1
  fi
}

# torch_parts: what of the pinned LibTorch this machine needs, "gpu" (all of it) or "cpu"; setup_gpu is the option --gpu.
torch_parts() {
  case ${setup_gpu:-auto} in
    yes) printf gpu ;;
    no) printf cpu ;;
    auto) if have nvidia-smi; then printf gpu; else printf cpu; fi ;;
  esac
}

# torch_stamp PARTS: what an unpacked folder holds.
torch_stamp() {
  local lists=("$root/scripts/setup/libtorch.txt")
  [[ $1 == cpu ]] || lists+=("$root/scripts/setup/libtorch-cuda.txt")
  printf '%s %s' "$1" "$(cat "${lists[@]}" | sha256sum | cut -c1-64)"
}

# torch_use_wheels WHEELS WHERE: unpacks the pinned wheels into build/deps/libtorch.
torch_use_wheels() {
  local wheels=$1 where=$2 parts fresh=$torch_pinned_folder.new start=$SECONDS unpacked
  parts=$(torch_parts)
  unpacked=$(cat "$torch_pinned_folder/stamp" 2>/dev/null) || unpacked=
  # One with the GPU half serves a CPU too.
  if [[ $unpacked != "$(torch_stamp "$parts")" && $unpacked != "$(torch_stamp gpu)" ]]; then
    rm -rf "$fresh"
    mkdir -p "$fresh"
    local download=$fresh/wheels wheel needed="1.2 GB"
    torch_download "$wheels" "$download" libtorch.txt "545 MB"
    # Neither Python's bindings nor, on a machine without a GPU, the GPU half are needed.
    local leave=('torch/lib/libtorch_python.so' 'torch/lib/libshm*')
    if [[ $parts == gpu ]]; then
      torch_download "$wheels" "$download" libtorch-cuda.txt "1.8 GB"
      needed="5 GB"
    else
      leave+=('torch/lib/libtorch_cuda*.so' 'torch/lib/libtorch_nvshmem.so')
    fi
    say "unpacking LibTorch for $parts"
    unzip -q "$download"/torch-*.whl 'torch/include/*' 'torch/lib/*' torch/version.py -x "${leave[@]}" -d "$fresh" ||
      die "cannot unpack LibTorch into $fresh: is the disk full? ($(df -h --output=avail "$fresh" | tail -n 1 | tr -d ' ') free, $needed needed)"
    for wheel in "$download"/nvidia_*.whl; do
      unzip -q -o "$wheel" 'nvidia/*' -d "$fresh" || die "cannot unpack $wheel into $fresh: is the disk full? ($needed needed)"
      rm "$wheel"
    done
    rm -rf "$download"
    torch_stamp "$parts" >"$fresh/stamp"
    # Programs may be running from the old one: it goes last, and the name is free for a moment only.
    rm -rf "$torch_pinned_folder.old"
    [[ ! -e $torch_pinned_folder ]] || mv "$torch_pinned_folder" "$torch_pinned_folder.old"
    mv "$fresh" "$torch_pinned_folder"
    rm -rf "$torch_pinned_folder.old"
    say "LibTorch unpacked in $((SECONDS - start)) s"
  fi
  torch_write "$torch_pinned_folder/torch" "$torch_pinned_folder/nvidia/cu13/lib" "$where"
}

# torch_download WHEELS FOLDER LIST SIZE: the wheels pinned in a list, with their SHA-256 checked by pip.
torch_download() {
  local wheels=$1 folder=$2 list=$3 size=$4 python=/usr/bin/python3 source=() quiet=()
  [[ -t 1 ]] || quiet=(--quiet)
  [[ -x $python ]] || python=python3
  "$python" -m pip --version >/dev/null 2>&1 || die "$python has no pip: install Debian's python3-pip"
  if [[ -n $wheels ]]; then
    [[ -d $wheels ]] || die "--wheels $wheels: no such folder"
    say "taking the wheels of $list from $wheels"
    source=(--no-index --find-links "$wheels")
  else
    say "downloading the wheels of $list ($size)"
  fi
  # The wheel is for Python 3.11 but we only want the libraries in it, so any pip may fetch it.
  "$python" -m pip download "${quiet[@]}" --no-cache-dir --disable-pip-version-check --require-hashes --no-deps \
    --only-binary=:all: --implementation cp --python-version 3.11 \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 \
    --platform manylinux_2_18_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    --platform manylinux2010_x86_64 --platform manylinux1_x86_64 \
    "${source[@]}" -r "$root/scripts/setup/$list" -d "$folder" ||
    die "cannot get the wheels of scripts/setup/$list; without network, put them into a folder and pass --wheels FOLDER"
}

# torch_write ROOT RUNTIME WHERE: publishes the decision for ./dev build.
torch_write() {
  mkdir -p "$root/build/deps"
  printf 'torch_root=%q\ntorch_runtime=%q\ntorch_where=%q\ntorch_key=%q\n' "$1" "$2" "$3" "$(torch_state "$3")" \
    >"$root/build/deps/torch.env.new"
  mv "$root/build/deps/torch.env.new" "$root/build/deps/torch.env"
  say "LibTorch: $1"
}
