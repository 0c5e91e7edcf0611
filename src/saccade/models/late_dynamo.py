"""torch without its compiler, for those who do not compile: seconds saved in every run.

Loading `torch._dynamo` loads inductor, triton and sympy too, 850 modules (docs/log.md). timm does
so on import (it marks three functions with `torch.compiler.disable`), torchvision does (it asks
for `is_compile_supported`), and so does every optimiser of torch when it is made and at each step
(`disable`, `graph_break`). None of them needs the compiler where nothing is compiled. So they can
be given a stand-in, which does those four things as the real one would, and for anything else
steps aside and lets the real one be loaded.
"""

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

DYNAMO = "torch._dynamo"
UTILS = "torch._dynamo.utils"


@contextlib.contextmanager
def spared() -> Iterator[None]:
    """Let what is imported and called in this block do without dynamo.

    Nothing is done where it is loaded already, or in a block within such a block. Whoever wants
    more of it meanwhile, in this thread or in another, gets the real one. Afterwards
    `sys.modules` is as it was before.
    """
    import torch  # noqa: F401, PLC0415 - whole, before any part of it is stood in for

    if DYNAMO in sys.modules or UTILS in sys.modules:
        yield
        return
    stand_ins = {DYNAMO: _Dynamo(DYNAMO), UTILS: _Utils(UTILS)}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        _step_aside()


def _step_aside() -> None:
    """Leave both places to the real modules, where stand-ins still hold them."""
    for name in (DYNAMO, UTILS):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


def _real(name: str) -> ModuleType:
    _step_aside()
    return importlib.import_module(name)


def _is_loaded() -> bool:
    return DYNAMO in sys.modules and not isinstance(sys.modules[DYNAMO], _StandIn)


class _StandIn(ModuleType):
    """Has what its class defines, and for the rest loads the real module and asks that."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the real module has
        if name.startswith("__") and (self.__name__, name) != (DYNAMO, "__path__"):
            raise AttributeError(name)  # `inspect` asks every module for __file__
        return getattr(_real(self.__name__), name)


class _Utils(_StandIn):
    """In the place of torch._dynamo.utils."""

    @staticmethod
    def is_compile_supported(device_type: Any) -> Any:  # noqa: ANN401 - as the real one
        """Return whether torch.compile serves a device: the real function's answer."""
        return _real(UTILS).is_compile_supported(device_type)


class _Dynamo(_StandIn):
    """In the place of torch._dynamo."""

    @staticmethod
    def graph_break(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the real one
        """Do nothing: it means something to dynamo alone, while that compiles."""

    @staticmethod
    def disable(
        fn: Any = None,  # noqa: ANN401 - as the real one, which also takes classes and modules
        recursive: bool = True,
        **options: Any,  # noqa: ANN401 - reason, wrapping
    ) -> Any:  # noqa: ANN401
        """Return `fn`, kept from being compiled as soon as there is something that compiles.

        The marks are those by which dynamo knows a function that it must call and not look into.
        """
        if not isinstance(fn, FunctionType) or not recursive:
            return _real(DYNAMO).disable(fn, recursive, **options)
        disabled: list[Callable[..., Any]] = []

        @functools.wraps(fn)
        def late(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever fn takes
            if not _is_loaded():
                return fn(*args, **kwargs)
            if not disabled:
                disabled.append(_real(DYNAMO).disable(fn, **options))
            return disabled[0](*args, **kwargs)

        marks = {"disable": True, "disable_msg": options.get("reason"), "disable_recursive": True}
        for name, value in {**marks, "orig_callable": fn, "wrapper_id": id(late)}.items():
            setattr(late, f"_torchdynamo_{name}", value)
        return late
