"""Reading and cutting views on one core, against the plain way; and memory while streaming.

Plain: Pillow decodes in full, then torchvision's transforms, as in PARSeq: Resize (bilinear),
ToTensor, Normalize; scenes are padded. Ours: `Source.read` with the view's needs, and the view;
uint8, which the device normalises; both from the same zip, and ours from shards (JPEG). Then both
as CHW batches, and getting the bytes alone, from zip, shards and LMDB. One process, forms
interleaved, medians of 5 rounds; the difference is that of the pixels, 0 to 255.

  python benchmarks/data_loading.py                          # data: $OCRPRETRAIN_DATA, or --data
  python benchmarks/data_loading.py --memory 3600 --set SHARDS --workers 2
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional as F

from ocrpretrain.data import Folder, LabelsFolder, LMDBWords, OCRDataModule, Shards
from ocrpretrain.data.prepare.lmdb import write_lmdb
from ocrpretrain.data.prepare.shards import write_shards
from ocrpretrain.data.sources import Source
from ocrpretrain.data.views import Sample, SceneView, View, WordView, stack_images

DATA = os.environ.get("OCRPRETRAIN_DATA", Path(__file__).parents[2] / "shared" / "data")
MEAN, STD = [0.481, 0.458, 0.408], [0.269, 0.261, 0.276]
SETS: dict[str, View] = {
    "det_ic15_test": SceneView(512, train=False),
    "rec_ic15_test": WordView((32, 128), train=False),
    "rec_svt_test": WordView((32, 128), train=False),
}
BATCH = 20
Form = Callable[[range], object]


def plain(source: LabelsFolder, view: View, index: int) -> Tensor:
    """(3, H, W) float32, normalised."""
    image = Image.open(io.BytesIO(source.store.read(source.items[index][0]))).convert("RGB")
    height, width = view.fitted(image.height, image.width)
    image = F.resize(image, [height, width], F.InterpolationMode.BILINEAR)  # pyright: ignore[reportArgumentType]
    pixels = F.normalize(F.to_tensor(image), MEAN, STD)  # pyright: ignore[reportArgumentType]
    return F.pad(pixels, [0, 0, view.size[1] - width, view.size[0] - height])


def compare(path: Path, view: View, rounds: int, images: int) -> None:
    """Print the times of both ways, of their batches and of reading, and the difference."""
    source = LabelsFolder(path)
    indices = range(0, len(source), max(1, len(source) // images))[:images]
    batches = [indices[start : start + BATCH] for start in range(0, len(indices), BATCH)]
    print(f"{path.stem}: {len(indices)} images to {view.size[0]} x {view.size[1]}")

    def theirs(batch: range) -> list[Tensor]:
        return [plain(source, view, index) for index in batch]

    def ours(batch: range, source: Source = source) -> list[Sample]:
        return [view(source.read(index, view.needs), seed=0) for index in batch]

    with tempfile.TemporaryDirectory() as folder:
        shards = Shards(write_shards(source, f"{folder}/shards"))
        readers = {
            "bytes from zip": lambda index: source.store.read(source.items[index][0]),
            "from shards": shards.picture,
        }
        if isinstance(view, WordView):
            readers["from LMDB"] = LMDBWords(write_lmdb(source, f"{folder}/lmdb")).picture
        views: dict[str, Form] = {"plain": theirs, "ours": ours}
        report(views | {"ours from shards": lambda b: ours(b, shards)}, batches, rounds)
        whole = {"plain": lambda b: torch.stack(theirs(b)), "ours": lambda b: stack_images(ours(b))}
        report({f"{name}, as batch": form for name, form in whole.items()}, batches, rounds)
        report({k: lambda b, r=r: [*map(r, b)] for k, r in readers.items()}, batches, rounds)
    print(f"  mean difference of the pixels {difference(source, view, indices):.2f}")


def report(forms: dict[str, Form], batches: list[range], rounds: int) -> None:
    """Run all forms in turn, and print their medians per image, also as ratio to the first."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    images, base = sum(map(len, batches)), []
    for _ in range(rounds + 1):  # the first one warms up
        for name, form in forms.items():
            wall, process = time.perf_counter(), time.process_time()
            for batch in batches:
                form(batch)
            spent[name].append((time.process_time() - process, time.perf_counter() - wall))
    for name, times in spent.items():
        cpu, wall = (statistics.median(c) / images for c in zip(*times[1:], strict=True))
        base = base or [cpu, wall]
        print(
            f"  {name:16} {1e6 * cpu:8.1f} us of process time, {1 / cpu:7.0f} images/s "
            f"({base[0] / cpu:5.2f} x); by the clock {1 / wall:7.0f} ({base[1] / wall:5.2f} x)"
        )


def difference(source: LabelsFolder, view: View, indices: range) -> float:
    """Mean absolute difference of the two ways, in grey levels."""
    mean, std, errors = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None], []
    for index in indices:
        sample = view(source.read(index, view.needs), seed=0)
        ours, _ = stack_images([sample])
        error = ((plain(source, view, index) * std + mean) * 255 - ours[0]).abs()
        height, width = view.fitted(*source.read(index).image.shape[:2])
        errors.append(error[:, :height, :width].mean().item())
    return statistics.mean(errors)


def stream(path: str, seconds: float, workers: int) -> None:
    """Print the memory of a loader and its workers, when all are warm and at the end."""
    source = Folder(path)
    data = OCRDataModule(source, source, {"size": 512}, 4, num_workers=workers, collator=stack)
    loader, begin, first, count, epoch = data.train_dataloader(), time.monotonic(), 0.0, 0, 0
    warm = min(60.0, seconds / 5)
    while time.monotonic() - begin < seconds:
        loader.sampler.set_epoch(epoch)  # pyright: ignore[reportAttributeAccessIssue]
        for batch in loader:
            count += len(batch)
            elapsed = time.monotonic() - begin
            if elapsed > warm and not first:
                first = resident()
                print(f"{elapsed:6.0f} s: {first:.1f} MiB, {count} images", flush=True)
            if elapsed > seconds:
                break
        epoch += 1
    last = resident()
    print(
        f"{time.monotonic() - begin:6.0f} s: {last:.1f} MiB, {count} images in {epoch} epochs: "
        f"{100 * (last / first - 1):+.2f} %"
    )


def stack(samples: list) -> torch.Tensor:
    return stack_images(samples)[0]


def resident() -> float:
    """MiB of this process and its workers."""
    processes = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in processes]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=DATA, help="folder that holds the zips")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--memory", type=float, metavar="SECONDS", help="stream for that time")
    parser.add_argument("--set", help="what to stream: anything that Folder opens")
    parser.add_argument("--workers", type=int, default=0)
    args = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    if args.memory:
        stream(args.set or f"{args.data}/det_ic15_test.zip", args.memory, args.workers)
        return
    for name, view in SETS.items():
        compare(Path(args.data, f"{name}.zip"), view, args.rounds, args.images)


if __name__ == "__main__":
    main()
