"""`python main.py serve`: answers HTTP requests with an exported model.

It imports TensorFlow without Keras, and no training code at all.
"""

import contextlib
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

from dcgan import UserError, extras, program
from dcgan.cli.run_options import Serve
from dcgan.run.run_dir import RunDir, newest_run
from dcgan.terminal import quiet

logger = logging.getLogger("dcgan")

NEEDED = ("fastapi", "fastapi_offline", "uvicorn", "httptools", "orjson", "prometheus_client")


def run(options: Serve) -> int:
    """Serves until a signal ends it: after SIGTERM `main` ends with 143, after Ctrl-C with 130."""
    extras.require("The server", "serve", *NEEDED)
    if not re.fullmatch("[^/:]+", options.name):
        raise UserError(
            f"--name must be a word without / and :, as it stands in addresses; received "
            f"{options.name!r}."
        )
    from dcgan.serving import hosts, proxies

    origins = hosts.check_origins(options.cors)
    root_path = proxies.check_root_path(options.root_path)
    trusted = proxies.check_trusted(options.forwarded_allow_ips)
    folder, run_dir = _model_folder(options)
    is_new = not _has_versions(folder)
    if is_new and run_dir is None:
        raise _nothing_to_serve(folder)
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # leave room for a training
    with quiet.quiet_start():
        from dcgan.serving import app, saved_model, server
        from dcgan.serving.follow import Follower
        from dcgan.serving.metrics import Metrics
        from dcgan.serving.service import LoadedVersion, Service
        from dcgan.serving.versions import Versions

        saved_model.load_tensorflow()
    metrics = Metrics()

    def load(version: Path) -> LoadedVersion:
        return LoadedVersion(
            saved_model.SavedModel(version),
            row_limit=options.batch_limit,
            max_delay=options.max_delay / 1000,
            metrics=metrics,
        )

    versions = Versions(folder, load, keep=options.keep_versions)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(server.bind(options.host, options.port))
        address = listener.getsockname()[0]
        allowed = hosts.make_allowed_hosts(options.host, address, options.allowed_hosts)
        if options.follow:
            words, env = _exporting(run_dir)
            words, keep = [*words, "--checkpoint"], options.keep_versions + 1
            follower = Follower(RunDir(run_dir).checkpoints, folder, words, env=env, keep=keep)
            stack.callback(follower.close)
            follower.export_first()
        elif is_new:
            logger.info("%s was not exported yet: exporting it first.", run_dir)
            if code := _export(run_dir):
                return code
        with quiet.quiet_start():  # TensorFlow also chatters when it first runs
            version = versions.start()
        if version is None:
            raise _nothing_to_serve(folder)
        service = Service(
            *(options.name, versions, options.batch_limit, options.body_limit << 20, metrics),
            follow=options.follow,
        )
        if options.follow:
            follower.start()
        for processes in (service.readers, service.writers):
            processes.start()
        application = app.make_app(
            service,
            cors=origins,
            hosts=allowed,
            root_path=root_path,
            trusted_proxies=trusted,
        )
        server.run(application, listener, show=options.open)
    return 0


def _model_folder(options: Serve) -> tuple[Path, Path | None]:
    """Returns the folder of versions, and the run that they come from; None with --model_dir."""
    if options.model_dir:
        folder = Path(options.model_dir)
        if options.follow:
            raise UserError(
                "--follow exports the checkpoints of a run, --model_dir names what is exported "
                "already: leave one of them out."
            )
        if (folder / "saved_model.pb").exists():
            raise UserError(
                f"{folder} is one version of a model, expected the folder of its versions: "
                f"--model_dir {folder.parent}"
            )
        return folder, None
    run_dir = (
        Path(options.run_dir) if options.run_dir else newest_run(Path("runs"), options.dataset)
    )
    return run_dir / "export" / "saved_model", run_dir  # where `export` writes without --to


def _has_versions(folder: Path) -> bool:
    """Tells if the folder holds a version, whole or not; raises UserError if it is unreadable."""
    try:
        return any(path.name.isdecimal() for path in folder.iterdir())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UserError(
            f"{folder} cannot be read ({error.strerror}); name a folder of versions with "
            "--model_dir."
        ) from error


def _exporting(run_dir: Path) -> tuple[list[str], dict[str, str]]:
    """Returns (command, environment) to export in another process, as this has no training code."""
    paths = filter(None, (str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")))
    words = [sys.executable, "-m", "dcgan", "export", f"--run_dir={run_dir}"]
    return words, {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _export(run_dir: Path) -> int:
    words, env = _exporting(run_dir)
    return subprocess.run(words, env=env, check=False).returncode


def _nothing_to_serve(folder: Path) -> UserError:
    words = ["export"]
    if folder.parent.name == "export":
        words += ["--run_dir", folder.parent.parent]
    return UserError(
        f"No complete exported model in {folder} yet; run: {program.command_line(*words)}"
    )
