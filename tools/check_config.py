"""Check any number of config files, pretraining or finetuning, and report every mistake."""

import argparse

from ocrpretrain.cli import run
from ocrpretrain.errors import ConfigError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="+", help="config files")
    args = parser.parse_args()

    from ocrpretrain.check import check_file

    errors = []
    for path in args.configs:
        try:
            check_file(path)
        except ConfigError as error:
            errors.append(str(error))
    if errors:
        raise ConfigError("\n".join(errors))
    print(f"{len(args.configs)} configs are fine")


if __name__ == "__main__":
    run(main)
