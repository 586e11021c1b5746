"""One entry point for every stage, for launchers that know a single program, such as a Flex Template.

python -m beam_pipelines.job --stage swing|subgraphs|refresh --input DATASET.yaml --output DIRECTORY [flags of the stage] [Beam options]
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

STAGES = ("swing", "subgraphs", "refresh")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage's own `main` with the other flags; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m beam_pipelines.job", description=(__doc__ or "").splitlines()[0], add_help=False
    )
    parser.add_argument("--stage", required=True, choices=STAGES, help="what to run")
    arguments, rest = parser.parse_known_args(argv)
    return int(importlib.import_module(f"beam_pipelines.{arguments.stage}").main(rest))


if __name__ == "__main__":
    sys.exit(main())
