"""`python main.py serve`: answers HTTP requests with an exported model.

TensorFlow is imported here without Keras, and no training code at all.
"""

import os
import re
import shlex
from pathlib import Path

from dcgan import UserError, extras
from dcgan.cli.run_options import Serve
from dcgan.run.run_dir import newest_run
from dcgan.terminal import quiet

NEEDED = ("fastapi", "uvicorn", "httptools", "orjson", "prometheus_client")


def run(options: Serve) -> int:
    """Serves until a signal ends it.

    Returns:
        the exit code; after SIGTERM `main` ends with 143 instead, after Ctrl-C with 130.
    """
    extras.require("The server", "serve", *NEEDED)
    if not re.fullmatch("[^/:]+", options.name):
        raise UserError(
            f"--name must be a word without / and :, as it stands in addresses; received "
            f"{options.name!r}."
        )
    from dcgan.serving import proxies

    root_path = proxies.prefix(options.root_path)
    trusted = proxies.trusted(options.forwarded_allow_ips)
    folder = _model_folder(options)
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # leave room for a training
    with quiet.quiet_start():
        from dcgan.serving import app, hosts, saved_model, server
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
    with server.bind(options.host, options.port) as listener:
        address = listener.getsockname()[0]
        allowed = hosts.allowed(options.host, address, options.allowed_hosts)
        with quiet.quiet_start():  # what TensorFlow says when it first runs
            version = versions.start()
        if version is None:
            raise _nothing_to_serve(folder)
        service = Service(
            *(options.name, versions, options.batch_limit, options.body_limit << 20, metrics)
        )
        for processes in (service.readers, service.aside):
            processes.start()
        origins = tuple(filter(None, (origin.strip() for origin in options.cors.split(","))))
        application = app.make_app(
            service,
            cors=origins,
            hosts=allowed,
            root_path=root_path,
            trusted_proxies=trusted,
        )
        server.run(application, listener)
    return 0


def _model_folder(options: Serve) -> Path:
    """The folder of versions, which must hold one."""
    if options.model_dir:
        folder = Path(options.model_dir)
        if (folder / "saved_model.pb").exists():
            raise UserError(
                f"{folder} is one version of a model, expected the folder of its versions: "
                f"--model_dir {folder.parent}"
            )
    else:
        run_dir = options.run_dir and Path(options.run_dir)
        folder = (run_dir or newest_run(Path("runs"), options.dataset)) / "export" / "saved_model"
    try:
        found = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        found = []
    except OSError as error:
        raise UserError(
            f"{folder} cannot be read ({error.strerror}); name a folder of versions with "
            "--model_dir."
        ) from error
    if not any(name.isdecimal() for name in found):
        raise _nothing_to_serve(folder)
    return folder


def _nothing_to_serve(folder: Path) -> UserError:
    run_dir = "runs/<name>"
    if folder.parent.name == "export":
        run_dir = shlex.quote(str(folder.parent.parent))
    return UserError(
        f"{folder} holds no exported model that is whole; make one with: "
        f"python main.py export --run_dir {run_dir}"
    )
