import subprocess
import sys

import pytest

IMPORTED = """
import sys
import torch
from saccade.models import backbones, late_dynamo
assert "mobilenetv2_100" in backbones.names("mobilenetv2")
"""
SPARED = """
assert "torchvision.ops.roi_align" in sys.modules
loaded = [n for n in sys.modules if n.startswith(("torch._dynamo", "torch._inductor", "sympy"))]
assert loaded == [], loaded
"""
STEPPED = """
layer = torch.nn.Linear(2, 1)
def steps():
    for kind in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW):
        optimizer = kind([{"params": layer.parameters(), "lr": 0.1}])
        optimizer.zero_grad(set_to_none=True)
        layer(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
with late_dynamo.spared():
    steps()
"""
COMPILES = """
@torch.compiler.disable
def not_marked_late(x): ...

graphs = []
def backend(graph, example):
    graphs.append(graph)
    return graph.forward

def trial(keep_out):
    torch._dynamo.reset()
    graphs.clear()
    looked_into = []

    @keep_out
    def apart(x):
        looked_into.append(torch.compiler.is_compiling())
        return x * 2

    def whole(x):
        return apart(x + 1) + 1

    answer = torch.compile(whole, backend=backend)(torch.ones(2))
    num = len(graphs)
    torch._dynamo.reset()
    try:
        torch.compile(whole, backend=backend, fullgraph=True)(torch.ones(2))
        refused = ""
    except torch._dynamo.exc.Unsupported as error:
        refused = str(error).splitlines()[0]
    return answer.tolist(), num, looked_into, refused

real = sys.modules["torch._dynamo"]
assert real is torch._dynamo and real.__file__.endswith("__init__.py") and real.utils.counters == {}
for keep_out in (torch.compiler.disable, late_dynamo._Dynamo.disable):  # the real one first
    assert trial(keep_out)[:3] == ([5.0, 5.0], 2, [False]), trial(keep_out)
    assert "`torch.compiler.disable()`d function" in trial(keep_out)[3], trial(keep_out)
assert trial(lambda fn: fn) == ([5.0, 5.0], 1, [True, True], "")  # not kept out at all
steps()
"""
ROI_ALIGN = """
import torchvision
asked = sys.modules["torchvision.ops.roi_align"].is_compile_supported
assert asked is not torch._dynamo.utils.is_compile_supported
assert asked("cpu") == torch._dynamo.utils.is_compile_supported("cpu")
boxes = torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])
pooled = torchvision.ops.roi_align(torch.ones(1, 1, 8, 8), boxes, output_size=2)
assert pooled.shape == (1, 1, 2, 2) and bool((pooled == 1).all())
"""
TOUCHED = """
import sys
from saccade.models import late_dynamo
with late_dynamo.spared():
    import torch._dynamo as early
    from torch._dynamo.utils import counters
    from torch._dynamo import external_utils
    import torch._dynamo.exc
assert counters is sys.modules["torch._dynamo.utils"].counters
assert type(sys.modules["torch._dynamo"]) is type(sys)
assert early.config is torch._dynamo.config
with late_dynamo.spared():  # it is loaded: nothing to spare
    assert type(sys.modules["torch._dynamo"]) is type(sys)
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


@pytest.mark.slow
def test_timm_and_optimisers_load_no_dynamo_and_whoever_wants_it_afterwards_has_all_of_it() -> None:
    done = run(IMPORTED + STEPPED + SPARED + COMPILES + ROI_ALIGN)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.slow
def test_whoever_touches_dynamo_meanwhile_gets_the_real_one() -> None:
    done = run(TOUCHED)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.slow
def test_without_the_stand_ins_timm_would_load_dynamo() -> None:
    # The control: should it go red, then timm and torchvision have mended it, and this can go.
    idle = "import contextlib\nlate_dynamo.spared = contextlib.nullcontext\nassert"
    script = IMPORTED.replace("assert", idle) + SPARED
    done = run(script)
    assert done.returncode == 1
    assert "AssertionError: ['torch._dynamo" in done.stderr or "sympy" in done.stderr
