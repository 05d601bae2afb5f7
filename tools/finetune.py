"""Finetune an MMOCR text detector on a pretrained (or randomly initialised) backbone."""

import argparse

from ocrpretrain.cli import add_cfg_options, parse_cfg_options, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="a file under configs/finetune/, or an MMOCR config")
    parser.add_argument("--weights", required=True, help="a weights file, or 'none' for random")
    parser.add_argument("--like", help="with --weights none: the file whose network to take")
    parser.add_argument("--train", help="folder or zip of training images")
    parser.add_argument("--test", help="folder or zip of test images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work-dir", help="where to write")
    parser.add_argument("--resume", action="store_true", help="go on from the newest epoch")
    parser.add_argument("--overwrite", action="store_true", help="replace a finished run")
    parser.add_argument("--wandb", choices=["offline", "online", "disabled"], default="offline")
    add_cfg_options(parser)
    args = parser.parse_args()

    from ocrpretrain.transfer.finetune import finetune

    folder = finetune(
        args.config,
        None if args.weights == "none" else args.weights,
        like=args.like,
        train=args.train,
        test=args.test,
        overrides=parse_cfg_options(args.cfg_options),
        work_dir=args.work_dir,
        seed=args.seed,
        overwrite=args.overwrite,
        resume=args.resume,
        wandb_mode=args.wandb,
    )
    print(f"finished: {folder}")


if __name__ == "__main__":
    run(main)
