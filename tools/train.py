"""Train as `llamafactory-cli train` does, and stop at the first step that goes wrong: `python -m tools.train x.yaml key=value`.

LLaMA-Factory trains on when a gradient is not a number, ends well, and leaves an adapter that answers rubbish. This
command gives its `run_exp` a callback that ends the run there, with a status that is not 0, and moves what was written
so far aside. It starts torchrun for several GPUs by LLaMA-Factory's own launcher.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from callwright.errors import UserError, command
from tools.training.guard import CUDNN_OFF, guard, is_finished, set_aside


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Train by the arguments that `llamafactory-cli train` takes; a run that goes wrong is set aside."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    if is_finished(arguments):
        print("train: nothing to do")
        return 0
    os.environ.setdefault(CUDNN_OFF, "1")
    sys.argv = [sys.argv[0], *arguments]  # LLaMA-Factory reads them there
    from llamafactory import launcher
    from llamafactory.extras.misc import get_device_count, is_env_enabled, use_ray
    from llamafactory.train.tuner import run_exp

    is_worker = "LOCAL_RANK" in os.environ
    if not is_worker and (is_env_enabled("FORCE_TORCHRUN") or (get_device_count() > 1 and not use_ray())):
        launcher.__file__ = __file__  # what torchrun starts in each process
        sys.argv.insert(1, "train")
        launcher.launch()
        return 0
    try:
        run_exp(callbacks=[guard()])
    except UserError as error:
        if int(os.environ.get("RANK", "0")) == 0:
            print(file=sys.stderr)  # the progress bar has not ended its line
            aside = set_aside(Path(error.place.rpartition(", step ")[0]))
            raise UserError(error.place, error.fault, f"{error.remedy}; what was written is in {aside}") from None
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
