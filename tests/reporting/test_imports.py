import subprocess
import sys


def test_reporting_needs_no_torch() -> None:
    code = (
        "import sys, saccade.reporting.collect, saccade.reporting.page, saccade.reporting.card;"
        "print(sorted({'torch', 'timm', 'sklearn', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
