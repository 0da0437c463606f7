"""Checks that no source includes a header of a layer above its own. File names come on standard input.

The order is the one of docs/architecture.md. CMake checks most of it too (a wrong
include does not link), but not for headers that need no linking.
"""

import os
import re
import sys

# Folder of a layer: folders whose headers it may include besides its own. The longest matching folder counts.
LAYERS = {
    "core/base": [],
    "core/fourier": ["core/base"],
    "core/formats": ["core/base", "core/fourier"],
    "core/imaging": ["core/base", "core/fourier", "core/formats"],
    "core/particles": ["core/base", "core/fourier", "core/formats", "core/imaging"],
    "core/cuda": ["core/base"],
    "core/reconstruct": ["core/base", "core/fourier", "core/formats", "core/cuda"],
    "core/report": ["core/base", "core/fourier", "core/formats"],
    "models": ["core/base", "core/fourier", "core/formats", "core/imaging", "core/particles", "core/reconstruct"],
    "preprocessing": ["core"],
    "daemon": ["core/base"],
    # of cli only the values of options (cryored_option_values), of daemon address and exchange: CMake and a test see to it
    "plugin": ["core/base", "daemon", "cli"],
    "simulation": ["core"],
    "evaluation": ["core", "simulation"],
    "training": ["core", "models", "preprocessing", "simulation", "evaluation"],
    "cli": ["core", "models", "preprocessing", "daemon", "simulation", "evaluation", "training"],
    "benchmarks": ["core", "models", "preprocessing", "simulation", "evaluation", "training", "cli", "daemon"],
    "tests": ["core", "models", "preprocessing", "plugin", "simulation", "evaluation", "training", "cli", "daemon", "benchmarks"],
    "cmake": [],
}
# LibTorch's headers stay where the network is; the program cryored loads it as a module, only when it denoises.
TORCH_FOLDERS = ("models", "training", "benchmarks", "tests", "cmake", "cli/denoise_module.cpp")
CUDA_ON_CPU = "tests/cuda_on_cpu/"  # stand-ins of these names
TORCH = re.compile(r"(torch|ATen|c10)/")
# The layers below the GPU code name no CUDA type.
CUDA = re.compile(r"(cuda|cufft|cublas|cudnn)[a-zA-Z_0-9]*\.h")

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
LONG = 600


def inside(path, folder):
    return path.startswith(folder + "/")


def layer_of(path):
    return max((folder for folder in LAYERS if inside(path, folder)), key=len, default=None)


def main():
    faults = 0
    for path in sys.stdin.read().split():
        layer = layer_of(path)
        if layer is None:
            print(f"{path}: belongs to no layer; add its folder to scripts/dev/check_layers.py and docs/architecture.md")
            faults += 1
            continue
        with open(path, encoding="utf-8") as source:
            lines = source.read().splitlines()
        if len(lines) > LONG:
            print(f"note: {path} has {len(lines)} lines; split it or have a reason (guideline: near 300, at most {LONG})")
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quoted, name = match.group(1) == '"', match.group(2)
            fault = None
            if TORCH.match(name) and not path.startswith(TORCH_FOLDERS):
                fault = f"includes LibTorch's {name}; only {', '.join(TORCH_FOLDERS)} may"
            elif CUDA.match(name) and path.endswith((".hpp", ".h")) and not path.startswith(CUDA_ON_CPU):
                fault = f"includes CUDA's {name} in a header; keep it in .cu and .cpp files"
            elif quoted:
                target = layer_of(name)
                if target is None and layer == "tests" and os.path.exists(os.path.join(os.path.dirname(path), name)):
                    continue  # a test's own helper beside it
                if target is None:
                    fault = f'includes "{name}", which is not written from the repository root'
                elif target == "cli" and layer == "training" and path.endswith("_main.cpp"):
                    continue  # a program of its own
                elif target != layer and not any(target == may or inside(target, may) for may in LAYERS[layer]):
                    fault = f'includes "{name}" of the layer {target}; {layer} may use: {", ".join(LAYERS[layer]) or "none"}'
            if fault:
                print(f"{path}:{number}: {fault}")
                faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
