"""Pretrain a backbone with a head, from one config file."""

import argparse

from ocrpretrain.cli import add_cfg_options, parse_cfg_options, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="a file under configs/pretrain/, or your own")
    parser.add_argument("--work-dir", help="where to write (default: work_dirs/<config name>)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--overwrite", action="store_true", help="replace a finished run")
    parser.add_argument("--dry-run", action="store_true", help="check, build, take one step")
    parser.add_argument("--init", metavar="FILE", help="weights or reader file to start from")
    add_cfg_options(parser)
    args = parser.parse_args()

    from ocrpretrain.engine import pretrain  # heavy imports only after --help and mistakes

    options = parse_cfg_options(args.cfg_options)
    if args.init:
        options["init"] = [{"file": args.init}]
    pretrain(
        args.config,
        options,
        work_dir=args.work_dir,
        resume=args.resume,
        overwrite=args.overwrite,
        dry_run=args.dry_run,
    )


if __name__ == "__main__":
    run(main)
