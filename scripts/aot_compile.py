#!/usr/bin/env python3
"""Compiles a StableHLO program for TPUs or GPUs that this machine does not have.

    scripts/aot_compile.py step.mlir --devices 8 --target v5e

"goblip plan RECIPE --device v5e-8 --compile" runs it. Prints one line of JSON:
what XLA itself says of the compiled program, for each device: memory in bytes,
flops, bytes accessed, and the collectives with the bytes that they move.

TPUs (v5e, v5p, v6e) need the wheels jax, jaxlib and libtpu; GPUs (h100, a100)
need jax[cuda13]. No device and no driver is needed. For a GPU, whose compiler
does not analyse costs, the flops are those of the matrix products and
convolutions in the compiled program. On one chip of a kind that comes in
fours, the program is compiled for one device of a small slice.
"""
import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

# Chips of a host, and topologies by number of chips; the smallest that holds the devices is taken.
TOPOLOGIES = {
    "v5e": ("v5litepod-4", {4: "2x2x1", 8: "2x4x1", 16: "4x4x1", 32: "4x8x1", 64: "8x8x1", 128: "8x16x1", 256: "16x16x1"}),
    "v5p": ("v5p-8", {4: "2x2x1", 8: "2x2x2", 16: "2x2x4", 32: "2x4x4", 64: "4x4x4", 128: "4x4x8", 256: "4x8x8"}),
    "v6e": ("v6e-4", {4: "2x2x1", 8: "2x4x1", 16: "4x4x1", 32: "4x8x1", 64: "8x8x1", 128: "8x16x1", 256: "16x16x1"}),
}

GPU = """gpu_device_info {{ threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
 shared_memory_per_core: {shared} threads_per_core_limit: 2048 core_count: {cores} fpus_per_core: {fpus} block_dim_limit_x: 2147483647
 block_dim_limit_y: 65535 block_dim_limit_z: 65535 memory_bandwidth: {bandwidth} l2_cache_size: {l2} clock_rate_ghz: {clock}
 device_memory_size: {memory} shared_memory_per_block_optin: {optin} cuda_compute_capability {{ major: {major} minor: 0 }}
 registers_per_core_limit: 65536 registers_per_block_limit: 65536 }}
platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 8 }} device_description_str: "{name}\""""
GPUS = {
    "h100": GPU.format(shared=233472, cores=132, fpus=128, bandwidth=3352000000000, l2=52428800, clock=1.98, memory=84978434048,
                       optin=232448, major=9, name="NVIDIA H100 80GB HBM3"),
    "a100": GPU.format(shared=167936, cores=108, fpus=64, bandwidth=2039000000000, l2=41943040, clock=1.41, memory=84987740160,
                       optin=166912, major=8, name="NVIDIA A100-SXM4-80GB"),
}

BYTES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}
COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
SHAPE = re.compile(r"\b(%s)\[([\d,]*)\]" % "|".join(BYTES))


def sizes(text):
    """[(type, [dims])] of the shapes in a piece of HLO text."""
    return [(kind, [int(d) for d in dims.split(",") if d]) for kind, dims in SHAPE.findall(text)]


def nbytes(kind, dims):
    return BYTES[kind] * math.prod(dims)


def collectives(hlo):
    """Number of each collective, the bytes of its results on a device, and its largest tensors.

    TPUs' compiler divides a collective into steps beside computations, which all carry its channel: it counts once.
    """
    found, channels = {}, set()
    for line in hlo.splitlines():
        m = re.search(r"= (.*?) (%s)(-start)?\(" % "|".join(COLLECTIVES), line)
        if not m:
            continue
        channel = re.search(r"channel_id=(\d+)", line)
        if channel and (m.group(2), channel.group(1)) in channels:
            continue
        if channel:
            channels.add((m.group(2), channel.group(1)))
        parts = sizes(m.group(1))
        if m.group(3) and m.group(2) != "all-reduce":  # the result of a start is (operands, results, ...)
            parts = parts[len(parts) // 2:]
        entry = found.setdefault(m.group(2), {"count": 0, "bytes": 0, "tensors": {}})
        entry["count"] += 1
        for kind, dims in parts:
            entry["bytes"] += nbytes(kind, dims)
            key = (kind, *dims)
            entry["tensors"][key] = entry["tensors"].get(key, 0) + 1
    for entry in found.values():
        kinds = [{"type": kind, "dims": dims, "count": n, "bytes": n * nbytes(kind, dims)} for (kind, *dims), n in entry.pop("tensors").items()]
        entry["largest"] = sorted(kinds, key=lambda k: -k["bytes"])[:6]
    return found


def product_flops(hlo):
    """Flops of matrix products: dot instructions, and the library calls that they became."""
    shapes, total = {}, 0
    for line in hlo.splitlines():
        m = re.match(r"\s*(?:ROOT )?%?([\w.\-]+) = (\S+|\(.*?\)) ([\w\-]+)\((.*)", line)
        if not m:
            continue
        name, result, op, rest = m.groups()
        shapes[name] = sizes(result)
        if not (op == "dot" or op == "custom-call" and "__cublas" in rest):
            continue
        operands = re.findall(r"%([\w.\-]+)", rest.split(")")[0])
        contracting = re.search(r'lhs_contracting_dim(?:ensions|s)"?\s*[:=]\s*[\[{]([^\]}]*)[\]}]', rest)
        if not operands or not contracting or not shapes.get(operands[0]):
            continue
        axes = [int(a) for a in re.findall(r"\d+", contracting.group(1))]
        lhs = shapes[operands[0]][0][1]
        total += 2 * math.prod(shapes[name][0][1]) * math.prod(lhs[a] for a in axes)
    return total


def topology(target, devices):
    """A topology description that has at least so many devices."""
    from jax.experimental import topologies
    if target in GPUS:
        return topologies.get_topology_desc(platform="cuda", topology_name=target, topology=f"1x1x{devices}", target_config=GPUS[target])
    fits = [n for n in TOPOLOGIES[target][1] if n >= devices]
    if not fits:
        sys.exit(f"{target}: no topology of {devices} chips is known")
    return topologies.get_topology_desc(platform="tpu", topology_name=f"{target}:{TOPOLOGIES[target][1][min(fits)]}")


def compile_program(text, target, devices):
    import numpy as np
    from jax._src import compiler
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client
    from jax._src.lib.mlir import ir

    chosen = list(topology(target, devices).devices)[:devices]
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
        options = compiler.get_compile_options(num_replicas=1, num_partitions=devices, device_assignment=np.array([[d.id for d in chosen]]))
        options.executable_build_options.use_spmd_partitioning = devices > 1
        options.executable_build_options.use_shardy_partitioner = devices > 1
        return chosen[0].client.compile(module, executable_devices=xla_client.DeviceList(tuple(chosen)), compile_options=options)


def memory_alone(args):
    """Compiles in a process of its own until buffers are assigned, which is a tenth of the work at full size, and
    reads XLA's reports. Machine code is never made."""
    with tempfile.TemporaryDirectory() as folder:
        flags = os.environ.get("XLA_FLAGS", "") + f" --xla_dump_to={folder} --xla_dump_hlo_as_text"
        began = time.time()
        child = subprocess.Popen([sys.executable, args.script, args.program, "--devices", str(args.devices), "--target", args.target],
                                 env=dict(os.environ, XLA_FLAGS=flags), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        errors = []
        reader = threading.Thread(target=lambda: errors.append(child.stderr.read()), daemon=True)
        reader.start()
        report = hlo = None
        try:
            while not (report and hlo):
                over = child.poll() is not None
                report, hlo = whole(folder, "after_optimizations-memory-usage-report.txt"), whole(folder, "after_optimizations.txt")
                if over and not (report and hlo):
                    reader.join(5)
                    sys.exit(("".join(errors).strip().splitlines() or ["the compiler wrote no report of its memory"])[-1])
                time.sleep(0.5)
        finally:
            child.kill()
            child.wait()
        total = re.search(r"Total bytes: (\d+)", report)
        if not total:
            sys.exit("the compiler's report names no total")
        print(json.dumps({"target": args.target, "devices": args.devices, "compile_seconds": round(time.time() - began, 1),
                          "peak_bytes": int(total.group(1)), "product_flops": product_flops(hlo), "collectives": collectives(hlo)}))


def whole(folder, end):
    """The text of the largest file whose name ends so, once it has stopped growing; None before."""
    paths = [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(end)]
    if not paths:
        return None
    path = max(paths, key=os.path.getsize)
    before = os.path.getsize(path)
    time.sleep(3)
    if before == 0 or os.path.getsize(path) != before:
        return None
    with open(path, errors="replace") as f:
        return f.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="StableHLO text")
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--target", required=True, choices=sorted(TOPOLOGIES) + sorted(GPUS))
    parser.add_argument("--hlo", help="write the compiled program's text here")
    parser.add_argument("--memory", action="store_true", help="stop when buffers are assigned: peak memory and collectives alone, much sooner")
    args = parser.parse_args()
    if args.memory:
        args.script = os.path.abspath(__file__)
        memory_alone(args)
        return
    if args.target in TOPOLOGIES:
        for key, value in dict(JAX_PLATFORMS="cpu", TPU_SKIP_MDS_QUERY="1", TPU_WORKER_HOSTNAMES="localhost",
                               ALLOW_MULTIPLE_LIBTPU_LOAD="1",  # there is no TPU that two could fight for
                               TPU_ACCELERATOR_TYPE=TOPOLOGIES[args.target][0]).items():
            os.environ.setdefault(key, value)
    else:
        os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")
        # Without a device nothing can be tried out: take the kernels that need no tuning.
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=0"
    try:
        import jax  # noqa: F401
    except ImportError:
        sys.exit("the Python package jax is missing: pip install jax libtpu (TPU) or 'jax[cuda13]' (GPU)")
    with open(args.program) as f:
        text = f.read()
    began = time.time()
    try:
        executable = compile_program(text, args.target, args.devices)
    except Exception as error:  # XLA's errors have no common class
        sys.exit("XLA refuses the program: " + " ".join(str(error).split())[:600])
    seconds = time.time() - began
    memory = executable.get_compiled_memory_stats()
    result = {"target": args.target, "devices": args.devices, "compile_seconds": round(seconds, 1)}
    for name in ("argument", "output", "alias", "temp"):
        result[name + "_bytes"] = getattr(memory, name + "_size_in_bytes")
    result["peak_bytes"] = result["argument_bytes"] + result["output_bytes"] - result["alias_bytes"] + result["temp_bytes"]
    hlo = executable.hlo_modules()[0].to_string()
    if args.hlo:
        with open(args.hlo, "w") as f:
            f.write(hlo)
    try:
        costs = executable.cost_analysis()
        costs = costs[0] if isinstance(costs, list) else costs
        result["flops"], result["bytes_accessed"] = costs["flops"], costs["bytes accessed"]
    except Exception:
        result["product_flops"] = product_flops(hlo)
    result["collectives"] = collectives(hlo)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
