"""With how many digits a number is shown: three decimals of a share, three figures of an error."""

import math

_NOT_SHARES = ("log_loss", "mae", "rmse", "r2", "hamming_loss", "mean error")


NOTHING = 1e-12  # what is below is taken for 0, which sums often miss


def is_share(name: str) -> bool:
    """Return whether a metric lies between 0 and 1 with 1 best.

    >>> is_share("f1_macro"), is_share("negative_rmse")
    (True, False)
    """
    return not any(mark in name for mark in _NOT_SHARES)


def decimals(number: float, *, share: bool = True) -> str:
    """Return a number with three decimals.

    Args:
        number: what is not finite becomes a dash.
        share: whether 1 is all there is: what is below is then not told as all, and what is above
            0 not as nothing. An error, in the unit of the target, has at least three figures
            instead, however small it is.

    >>> decimals(0.0123), decimals(0.00042), decimals(0.9996), decimals(0.0123, share=False)
    ('0.012', '< 0.001', '> 0.999', '0.0123')
    """
    if not math.isfinite(number):
        return "–"
    if share and 0.9995 <= number < 1:
        return "> 0.999"
    if share and NOTHING <= number < 0.0005:
        return "< 0.001"
    return f"{'−' if number < 0 else ''}{_size(abs(number), share=share)}"


def signed(number: float, *, share: bool = True) -> str:
    """Return a number with its sign, to three decimals; nothing is neither more nor less.

    >>> signed(0.0412), signed(-0.2), signed(-0.0001), signed(0.0)
    ('+0.041', '−0.200', '−0.000', '0.000')
    """
    if not math.isfinite(number):
        return decimals(number)
    sign = "" if abs(number) < NOTHING else "+" if number > 0 else "−"
    return f"{sign}{_size(abs(number), share=share)}"


def _size(size: float, *, share: bool) -> str:
    return f"{size:.3f}" if share and size < 100 else figures(size, below=0.1)


def with_interval(value: float, low: float, high: float, *, share: bool = True) -> str:
    """Return a number and its interval, each as `decimals` has it.

    >>> with_interval(0.866, 0.8, 0.912), with_interval(3.5, math.nan, math.nan)
    ('0.866 [0.800, 0.912]', '3.500 (no interval)')
    """
    return _between([decimals(one, share=share) for one in (value, low, high)], low, high)


def change_with_interval(value: float, low: float, high: float, *, share: bool = True) -> str:
    """Return a difference and its interval, each as `signed` has it.

    >>> change_with_interval(0.012, -0.004, 0.03)
    '+0.012 [−0.004, +0.030]'
    """
    return _between([signed(one, share=share) for one in (value, low, high)], low, high)


def _between(texts: list[str], low: float, high: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{texts[0]} (no interval)"
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def figures(size: float, *, below: float) -> str:
    """Return a number of 0 or more with three decimals; with three figures if it lies `below`.

    So have numbers of 100 and more. What is below `NOTHING` is taken for 0.

    >>> figures(0.012345, below=0.1), figures(0.02, below=0.1), figures(0.000012, below=0.1)
    ('0.0123', '0.020', '1.2e-5')
    """
    if size >= 100 or NOTHING <= size < min(below, 1e-4):
        return short(size)
    if size >= below or size < NOTHING:
        return f"{size:.3f}"
    whole, _, after = f"{size:.{2 - math.floor(math.log10(size))}f}".rstrip("0").partition(".")
    return f"{whole}.{after:0<3}"


def short(number: float) -> str:
    """Return a number with three or four figures, for axes and tables.

    >>> short(0.00012345), short(1234567.0), short(0.25), short(-12.0)
    ('1.23e-4', '1.23e+6', '0.25', '−12')
    """
    if not math.isfinite(number):
        return "–"
    if number <= 0:
        return f"−{short(-number)}" if number else "0"
    size = abs(number)
    if size >= 1e5 or size < 1e-3:
        mantissa, exponent = f"{number:.2e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{exponent[0]}{exponent[1:].lstrip('0')}"
    digits = max(0, 2 - math.floor(math.log10(size))) if size < 100 else 0
    text = f"{number:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
