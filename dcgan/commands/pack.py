"""`python main.py pack`: puts a data set into one zip file, or into TFRecord shards."""

import logging

from dcgan import program
from dcgan.cli.data_options import Pack
from dcgan.datasets import catalog, label_sheet
from dcgan.preparation.pack import PackOptions, pack

logger = logging.getLogger("dcgan")


def run(options: Pack) -> None:
    source = catalog.find(
        options.dataset,
        options.data_dir,
        pattern=options.input_fname_pattern,
        splits=options.splits.split(","),
    )
    label_sheet.attach_usable(source)
    how = PackOptions(options.size, options.crop, options.test_share, options.similarity)
    packed = pack(source, options.to, how, shard_bytes=options.shard_size << 20)
    for line in packed.report.sentences():
        logger.info("%s", line)
    parts = ", ".join(f"{count:,} {split}" for split, count in sorted(packed.counts.items()))
    logger.info(
        "Wrote %s: %s pictures%s of %s together, and a manifest.",
        options.to,
        f"{packed.report.used:,}",
        f" ({parts})" if options.test_share else "",
        f"{packed.size / 1e6:,.1f} MB",
    )
    logger.info("Train on it with: %s", program.command_line("--dataset", options.to))
