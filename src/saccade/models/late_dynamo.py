"""timm without torch's compiler: half of the time that importing timm took.

timm marks three functions with `torch.compiler.disable`, and it imports torchvision, which asks
`torch._dynamo.utils` for `is_compile_supported`, to be called when somebody compiles. Either loads
dynamo, inductor, triton and sympy: 1,100 modules that nobody needs who does not compile
(docs/log.md). So while timm is imported, both are given stand-ins that ask the real ones when they
are called. The stand-ins change nothing for those who do compile.
"""

import contextlib
import functools
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

DYNAMO = "torch._dynamo"
UTILS = "torch._dynamo.utils"
_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def spared() -> Iterator[None]:
    """Let what is imported in this block do without dynamo.

    Nothing is done where dynamo is loaded already. Whoever imports it meanwhile, in this thread or
    in another, gets the real one; afterwards both places are as they were before.
    """
    import torch.compiler  # noqa: PLC0415 - whoever imports this module need not want torch

    with _ONE_AT_A_TIME:
        if DYNAMO in sys.modules or UTILS in sys.modules:
            yield
            return
        stand_in, disable = _Utils(UTILS), torch.compiler.disable
        sys.modules[UTILS] = stand_in
        torch.compiler.disable = functools.partial(_disable, disable)
        try:
            yield
        finally:
            torch.compiler.disable = disable
            stand_in.step_aside()


class _Utils(ModuleType):
    """Looks like torch._dynamo.utils to a `from … import is_compile_supported`.

    For anything else it steps aside and hands out what the real module has.
    """

    def is_compile_supported(self, device_type: Any) -> Any:  # noqa: ANN401 - as the real one
        """Return whether torch.compile serves a device: the real function's answer."""
        self.step_aside()
        return importlib.import_module(UTILS).is_compile_supported(device_type)

    def step_aside(self) -> None:
        """Leave the place to the real module, if it is still taken."""
        if sys.modules.get(UTILS) is self:
            del sys.modules[UTILS]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the real module has
        if name.startswith("__"):  # the import system asks for __path__ and the like
            raise AttributeError(name)
        self.step_aside()
        return getattr(importlib.import_module(UTILS), name)


def _disable(
    real: Callable[..., Any],
    fn: Any = None,  # noqa: ANN401 - as the real one, which also takes classes and modules
    recursive: bool = True,
    *,
    reason: str | None = None,
) -> Any:  # noqa: ANN401
    """Return `fn` kept from being compiled, as torch.compiler.disable does, once there is dynamo.

    As long as dynamo is not loaded nothing is compiled, so nothing need be kept from it. The marks
    are those by which dynamo knows a function that it must call and not look into.
    """
    if not isinstance(fn, FunctionType) or not recursive or DYNAMO in sys.modules:
        return real(fn, recursive, reason=reason)
    disabled: list[Callable[..., Any]] = []

    @functools.wraps(fn)
    def late(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever fn takes
        if DYNAMO not in sys.modules:
            return fn(*args, **kwargs)
        if not disabled:
            disabled.append(real(fn, reason=reason))
        return disabled[0](*args, **kwargs)

    marks = {"disable": True, "disable_msg": reason, "disable_recursive": True}
    for name, value in {**marks, "orig_callable": fn, "wrapper_id": id(late)}.items():
        setattr(late, f"_torchdynamo_{name}", value)
    return late
