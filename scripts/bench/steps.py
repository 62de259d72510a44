"""What the programs of one training step share: configs, weights and batches that "goblip bench --write" wrote, and the clock."""
import json
import os
import resource
import statistics
import struct
import time

import numpy as np

IGNORED = -100
SMOOTHING = 0.1
MOMENTUM, ALPHA = 0.995, 0.4  # of BLIP's copies; the weight of its soft targets
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
RATE, BETAS, EPS, DECAY = 1e-4, (0.9, 0.98), 1e-8, 0.05


def read_safetensors(path):
    """Arrays by name."""
    types = {"F32": np.float32, "I32": np.int32, "U8": np.uint8}
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = np.frombuffer(f.read(), np.uint8)
    header.pop("__metadata__", None)
    return {name: data[slice(*about["data_offsets"])].view(types[about["dtype"]]).reshape(about["shape"]) for name, about in header.items()}


def read(config, folder):
    """The config, the weights by name, and the batches: pixel values [batch, 3, height, width], ids, mask."""
    with open(config) as f:
        config = json.load(f)
    data = read_safetensors(os.path.join(folder, "batches.safetensors"))
    batches = []
    while f"ids.{len(batches)}" in data:
        i = len(batches)
        pixels = (data[f"pixels.{i}"].astype(np.float32) / 255 - MEAN) / STD
        batches.append((np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), data[f"ids.{i}"].copy(), data[f"mask.{i}"].copy()))
    return config, read_safetensors(os.path.join(folder, "weights.safetensors")), batches


def trained(name):
    """Whether a step of BLIP-2 trains a tensor: all but the image encoder's blocks and the language model."""
    return name.startswith("vision_model.post_layernorm.") or not name.startswith(("vision_model.", "language_model."))


def decays(name, rank):
    return rank != 1 and not name.endswith(".bias")


def memory(key):
    """VmHWM or VmRSS of this process, in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/status") as f:
            return next((int(line.split()[1]) << 10 for line in f if line.startswith(key + ":")), 0)
    except OSError:
        return 0


def time_steps(config, batches, step):
    """Runs step(*batch) -> losses over the batches once, then as often as the config says; prints one line of JSON."""
    def spent():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime
    seconds, losses = [], []
    for i in range(len(batches) + config["steps"]):
        if i == len(batches):
            before = spent()
        start = time.perf_counter()
        losses.append([float(loss) for loss in step(*batches[i % len(batches)])])
        seconds.append(time.perf_counter() - start)
    used, counted = spent() - before, seconds[len(batches):]
    print(json.dumps({
        "step_seconds_median": statistics.median(counted), "step_seconds_min": min(counted), "steps_seconds": sum(counted),
        "first_step_seconds": seconds[0], "cpu_seconds": used / config["steps"], "peak_memory_bytes": memory("VmHWM"), "losses": losses,
    }))

