"""Print what a record says about its surroundings: versions of packages, machine, state of git.

And whether MMOCR can be used, and whether on a compiled mmcv or on our own operators.
"""

import argparse
import json

from ocrpretrain.cli import run


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()

    from ocrpretrain.environment import describe, transfer_state

    print(json.dumps({**describe(), "transfer": transfer_state()}, indent=1))


if __name__ == "__main__":
    run(main)
