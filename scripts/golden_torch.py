#!/usr/bin/env python3
"""Writes reference files of torch.save into checkpoints/testdata/torch, and pickles into
checkpoints/pickle/testdata. Needs torch, numpy and safetensors.

X.pth is read, X.safetensors has what must come out.
"""

import argparse
import base64
import collections
import datetime
import json
import pathlib
import pickle
import sys
import types

import numpy
import torch
from safetensors.torch import save_file

CHECKPOINTS = pathlib.Path(__file__).resolve().parent.parent / "checkpoints"
OUT = CHECKPOINTS / "testdata" / "torch"


def tensors():
    torch.manual_seed(7)
    base = torch.arange(120, dtype=torch.float32).reshape(4, 5, 6) * 0.25
    parameter = torch.nn.Parameter(torch.randn(3, 2))
    parameter.origin = "of a rebuilt type"
    return {
        "base": base,
        "permuted": base.permute(2, 0, 1),
        "steps": base[::2, 1:4, ::3],
        "expanded": torch.tensor([[1.5], [2.5]]).expand(2, 7),
        "diagonal": torch.arange(16.0).reshape(4, 4).diagonal(),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "parameter": parameter,
        "scalar": torch.tensor(0.07),
        "empty": torch.empty(0, 3),
        "half": torch.randn(5).half(),
        "bfloat16_view": torch.randn(4, 6).bfloat16().t(),
        "double": torch.randn(2, dtype=torch.float64),
        "int64": torch.tensor([-(2**62), 2**62]),
        "int32": torch.tensor([-(2**31), 7], dtype=torch.int32),
        "int16_view": torch.arange(10, dtype=torch.int16)[3:9:2],
        "int8": torch.tensor([-128, 127], dtype=torch.int8),
        "uint8": torch.tensor([0, 255], dtype=torch.uint8),
        "uint16": torch.tensor([0, 65535], dtype=torch.uint16),
        "bool": torch.tensor([True, False, True])[::2],
    }


def dense(state):
    return {name: t.detach().clone(memory_format=torch.contiguous_format) for name, t in state.items()}


def stand_in(module, name, **attributes):
    """A class of a library that need not be installed here."""
    for end in [i for i, c in enumerate(module + ".") if c == "."]:
        sys.modules.setdefault(module[:end], types.ModuleType(module[:end]))
    made = type(name, (), {"__module__": module, **attributes})
    setattr(sys.modules[module], name, made)
    return made


def settings():
    """What training programs save beside the weights."""
    node = stand_in("omegaconf.nodes", "AnyNode")()
    node.__dict__.update(_metadata=None, _val=32, _parent=None)
    config = stand_in("omegaconf.dictconfig", "DictConfig")()
    config.__dict__.update(_content={"batch_size": node}, _parent=None)
    node._parent = config  # such configurations refer to one another in circles
    return {
        "args": argparse.Namespace(lr=1e-4, out=pathlib.PurePosixPath("output"), device=torch.device("cpu")),
        "config": config,
        "optimizer": {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-5, "params": [0]}]},
        "metrics": collections.defaultdict(list, loss=[numpy.float64(0.5)], best=[numpy.arange(3)]),
        "scaler": None,
        "epoch": 3,
        "random": (2**70, -(2**70), {1, 2}, frozenset([3]), b"bytes", 1j, datetime.date(2020, 1, 1)),
        "size": torch.Size([1, 2]),
        "dtype": torch.float16,
    }


def write_torch():
    OUT.mkdir(parents=True, exist_ok=True)
    state = tensors()
    save_file(dense(state), OUT / "views.safetensors")
    torch.save(state, OUT / "views.pth")
    old = {k: v for k, v in state.items() if k not in ("uint16", "parameter")}  # what that format can hold
    torch.save({"state_dict": collections.OrderedDict(old)}, OUT / "views_legacy.pth", _use_new_zipfile_serialization=False)
    save_file(dense(old), OUT / "views_legacy.safetensors")
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    torch.save({"model": module.state_dict(), **settings()}, OUT / "settings.pth")
    save_file(dense(module.state_dict()), OUT / "settings.safetensors")
    torch.save(module.state_dict(), OUT / "protocol_4.pth", pickle_protocol=4)
    save_file(dense(module.state_dict()), OUT / "protocol_4.safetensors")


def write_pickles():
    """One line a value: protocol, pickle in base 64, and the value as JSON."""
    shared = ["shared"]
    values = [
        None, True, False, 0, 1, -1, 255, 256, 65536, -(2**31), 2**31, 2**63 - 1, -(2**63), 0.1, -1e300, "", "plain", "ünïcødé \n\\ '\" \u2028",
        "x" * 300, [], [1, [2, [3]]], {}, {"a": 1, "b": {"c": None}}, list(range(2000)), {str(i): i for i in range(1500)}, [shared, shared],
    ]
    lines = []
    for protocol in range(6):
        for value in values:
            data = base64.b64encode(pickle.dumps(value, protocol)).decode()
            lines.append(json.dumps({"protocol": protocol, "pickle": data, "value": value}))
    out = CHECKPOINTS / "pickle" / "testdata"
    out.mkdir(exist_ok=True)
    (out / "values.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write_torch()
    write_pickles()
