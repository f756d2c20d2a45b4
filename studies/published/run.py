"""Our weights beside the vocoders that their authors trained; `run.sh` calls it.

python -m studies.published.run --source FOLDER --made runs/published [--trial NAME=FOLDER]
"""

import argparse
from pathlib import Path

import torch

from studies.published.measure import (
    SCORES,
    measure_page,
    measure_weights,
    page_path,
    presets_of,
    read_own_scores,
    read_page_scores,
    write_own,
    write_page,
)
from studies.published.page import build_pages
from studies.published.pages import Page, read_pages
from studies.published.sources import check_source, download, write_checksums
from studies.published.systems import own_weights
from studies.published.tables import Study, write_results
from studies.scripts import run, stages_of
from vocoder.errors import VocoderError

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
STAGES = ("fetch", "measure", "tables", "page")


def main() -> None:
    """Run the requested stages in order."""
    options = _options()
    torch.set_num_threads(1)
    pages = read_pages()
    wanted = {name: page for name, page in pages.items() if name in (options.pages or pages)}
    if unknown := set(options.pages or []) - set(pages):
        raise VocoderError(f"no page {min(unknown)!r}; there are: {', '.join(pages)}")
    stages = options.stages
    if options.write_checksums:
        write_checksums(options.source, pages)
        return
    if "fetch" in stages:
        if options.download:
            download(options.source, wanted)
        check_source(options.source, wanted)
    if "measure" in stages:
        _measure(wanted, options)
    if "tables" in stages:
        study = Study(pages, read_page_scores(pages), read_own_scores())
        print(write_results(study, HERE, README))
    if "page" in stages:
        print(build_pages(wanted, options.source, options.made, options.jobs))


def _measure(pages: dict[str, Page], options: argparse.Namespace) -> None:
    """Score pages without a file; ours always, under today's date, on all pages."""
    weights = own_weights(dict(options.trials))
    if options.weights:
        if unknown := set(options.weights) - {each.weights for each in weights}:
            raise VocoderError(f"--weights {min(unknown)}: neither shipped nor a trial")
        weights = [each for each in weights if each.weights in options.weights]
    presets = presets_of(weights)
    for name, page in pages.items():
        path = page_path(name)
        if path.exists():
            print(f"{path.name}: is there; delete it to measure the page again")
            continue
        scores = measure_page(name, page, options.source, options.made, presets, options.jobs)
        print(f"{write_page(scores, SCORES)}: written; commit it", flush=True)
    for each in weights:
        own = measure_weights(each, pages, options.source, options.made, options.jobs)
        print(f"{write_own(own, SCORES)}: written; commit it", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pages", nargs="*", help="all, if none is named")
    parser.add_argument("--source", type=Path, required=True, help="PAGE/SYSTEM/UTTERANCE.flac")
    parser.add_argument("--download", action="store_true", help="clone what --source lacks")
    parser.add_argument("--made", type=Path, required=True, help="folder for audio made here")
    parser.add_argument("--trial", type=_trial, action="append", default=[], dest="trials",
                        metavar="NAME=FOLDER", help="weights that do not ship")  # fmt: skip
    parser.add_argument("--weights", action="append", default=[], metavar="NAME",
                        help="of the shipped weights and the trials, only these")  # fmt: skip
    parser.add_argument("--stages", type=stages_of(STAGES), default=STAGES, help=" ".join(STAGES))
    parser.add_argument("--jobs", type=int, default=2, help="worker processes")
    parser.add_argument("--write-checksums", action="store_true", help="of what is measured")
    return parser.parse_args()


def _trial(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text}: write it as NAME=FOLDER")
    return name, Path(folder)


if __name__ == "__main__":
    run(main)
