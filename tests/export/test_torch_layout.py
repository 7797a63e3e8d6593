"""The names and shapes of PyTorch's DCGAN tutorial, without PyTorch; with it: test_import_torch."""

import importlib.metadata
import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

from dcgan import UserError
from dcgan.cli.run_options import ExportTorch, ImportTorch
from dcgan.commands import export_torch, import_torch
from dcgan.export import torch_file
from dcgan.export.torch_layout import SIDES, arguments, from_torch, to_torch
from dcgan.models import Discriminator, Generator
from dcgan.run.run_dir import RunDir

LIKE_TORCH = {"layout": "torch_tutorial", "kernel_size": 4}


def networks(side=64, channels=3, **more):
    shape = (side, side, channels)
    made = (
        Generator(shape, z_dim=6, width=16, **{**LIKE_TORCH, **more}),
        Discriminator(shape, width=2, **{**LIKE_TORCH, **more}),
    )
    random = np.random.default_rng(side)
    for network in made:
        network.build()
        for variable in network.variables:
            variable.assign(random.normal(size=variable.shape))
    return made


def shapes(network):
    return {name: array.shape for name, array in to_torch(network).items()}


def normalization(number, width):
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{number}.{part}": (width,) for part in parts}


# The tutorial's layers with nz = 6, ngf = 2, nc = 3 and ndf = 2. ConvTranspose2d has its weights as
# [in, out, 4, 4], Conv2d as [out, in, 4, 4]; numbers that are left out are activations.
GENERATOR = {
    "0.weight": (6, 16, 4, 4),
    **normalization(1, 16),
    "3.weight": (16, 8, 4, 4),
    **normalization(4, 8),
    "6.weight": (8, 4, 4, 4),
    **normalization(7, 4),
    "9.weight": (4, 2, 4, 4),
    **normalization(10, 2),
    "12.weight": (2, 3, 4, 4),
}
DISCRIMINATOR = {
    "0.weight": (2, 3, 4, 4),
    "2.weight": (4, 2, 4, 4),
    **normalization(3, 4),
    "5.weight": (8, 4, 4, 4),
    **normalization(6, 8),
    "8.weight": (16, 8, 4, 4),
    **normalization(9, 16),
    "11.weight": (1, 16, 4, 4),
}


def test_the_tutorials_names_and_shapes_in_its_order():
    generator, discriminator = networks()
    assert list(shapes(generator).items()) == list(GENERATOR.items())
    assert list(shapes(discriminator).items()) == list(DISCRIMINATOR.items())


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3), (64, 3), (128, 1), (256, 3)])
def test_there_and_back_is_the_same_to_the_bit(side, channels):
    generator, discriminator = networks(side, channels)
    for network, more in ((generator, {"z_dim": 6, "width": 16}), (discriminator, {"width": 2})):
        theirs = to_torch(network)
        back = from_torch(network.name, theirs)
        ours = {v.path.partition("/")[2]: v.numpy() for v in network.variables}
        assert back.keys() == ours.keys()
        for name, array in ours.items():
            np.testing.assert_array_equal(back[name], array, err_msg=name)
        found = arguments(network.name, shapes(network))
        assert found == {"image_shape": (side, side, channels), **more}
        if side > 8:  # where each number lies is seen by its neighbours, which differ
            assert not np.array_equal(*(theirs["0.weight"].ravel()[i : i + 2] for i in (0, 1)))


def test_a_kernel_is_turned_as_the_two_define_it():
    generator, discriminator = networks()
    project = generator.project.kernel.numpy().reshape(6, 4, 4, 16)  # z, row, column, channel
    assert to_torch(generator)["0.weight"][5, 7, 1, 2] == project[5, 1, 2, 7]
    deconv = generator.deconvs[0].kernel.numpy()  # row, column, out, in
    assert to_torch(generator)["3.weight"][15, 7, 1, 2] == deconv[1, 2, 7, 15]
    conv = discriminator.convs[1].kernel.numpy()  # row, column, in, out
    assert to_torch(discriminator)["2.weight"][3, 1, 1, 2] == conv[1, 2, 1, 3]
    logit = discriminator.logit.kernel.numpy().reshape(4, 4, 16)  # row, column, channel
    assert to_torch(discriminator)["11.weight"][0, 9, 1, 2] == logit[1, 2, 9]


@pytest.mark.parametrize(
    ("side", "more", "words"),
    [
        (64, {"layout": "radford"}, "received radford, 4 and 64x64"),
        (64, {"kernel_size": 5}, "received torch_tutorial, 5 and 64x64"),
        (48, {}, "received torch_tutorial, 4 and 48x48"),
    ],
)
def test_what_the_tutorial_has_no_network_for_is_refused(side, more, words):
    for network in networks(side, **more):
        with pytest.raises(UserError, match=words):
            to_torch(network)


def changed(table, **shapes):
    """With these shapes, None for none; `_3_weight` is 3.weight."""
    named = {k[1:].replace("_", ".", 1): shape for k, shape in shapes.items()}
    return {k: shape for k, shape in {**table, **named}.items() if shape is not None}


@pytest.mark.parametrize(
    ("network", "found", "words"),
    [
        ("generator", changed(GENERATOR, _4_bias=None), r"no 4\.bias"),
        ("generator", changed(GENERATOR, _12_bias=(3,)), r"a 12\.bias, which it has not"),
        ("generator", changed(GENERATOR, _0_weight=(6, 16)), r"a 0\.weight of \(6, 16\)"),
        ("generator", changed(GENERATOR, _12_weight=(2, 2, 4, 4)), r"nc = 2 \(expected 1 or 3\)"),
        ("generator", changed(GENERATOR, _0_weight=(5000, 16, 4, 4)), r"nz = 5000 \(.* 1 to 4096"),
        ("generator", changed(GENERATOR, _0_weight=(6, 4, 4, 4)), r"ngf \* 8 = 4 \(.* 8 to 4096"),
        ("generator", changed(GENERATOR, _3_weight=(16, 8, 5, 5)), r"a 3\.weight of \(16, 8, 5, 5"),
        ("generator", changed(GENERATOR, _21_weight=(1, 1, 4, 4)), "7 convolutions of stride 2"),
        ("generator", {"0.weight": (6, 16, 4, 4)}, "0 convolutions of stride 2"),
        ("generator", {"999.weight": ()}, "333 convolutions"),
        ("discriminator", changed(DISCRIMINATOR, _0_weight=(0, 3, 4, 4)), r"ndf = 0 \(.* 1 to 102"),
        ("discriminator", changed(DISCRIMINATOR, _11_weight=(2, 16, 4, 4)), r"a 11\.weight of \(2"),
    ],
)
def test_other_weights_are_refused_with_the_first_difference(network, found, words):
    with pytest.raises(UserError, match=f"{network} of PyTorch's DCGAN tutorial.*found {words}"):
        arguments(network, found)


def test_sides_are_those_that_four_doublings_and_others_give():
    assert SIDES == (8, 16, 32, 64, 128, 256)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (import_torch, ImportTorch(from_="netG.pth", to="new")),
        (export_torch, ExportTorch()),
    ],
)
def test_without_a_safe_pytorch_the_commands_say_what_to_install(command, options, monkeypatch):
    name = command.__name__.rpartition(".")[2].replace("_", "-")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        UserError, match=rf"^{name} needs torch, not installed here: run .*\[torch\]"
    ):
        command.run(options)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: True)
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2.5.1+cpu")
    with pytest.raises(UserError, match=f"^{name} needs PyTorch 2.6 or later.*found 2.5.1"):
        command.run(options)


@pytest.mark.parametrize("to", [".", "/", "runs/.."])
def test_a_run_is_not_imported_to_a_folder_without_a_name(to, monkeypatch):
    monkeypatch.setattr(torch_file, "require", lambda _: None)
    with pytest.raises(UserError, match=f"--to {to} is no name of a new run folder"):
        import_torch.run(ImportTorch(from_="netG.pth", to=to))


def test_an_export_that_fails_or_was_killed_leaves_no_file_behind(monkeypatch, tmp_path):
    generator, discriminator = networks(16)
    checkpoint = SimpleNamespace(discriminator=lambda: discriminator)
    trained = SimpleNamespace(
        run=RunDir(tmp_path), step=7, generator=generator, checkpoint=checkpoint
    )

    def write(path, arrays, batches):
        path.write_text(str(batches))
        if batches == full_at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch_file, "require", lambda _: None)
    monkeypatch.setattr(torch_file, "write", write)
    monkeypatch.setattr(export_torch, "open_run", lambda _: trained)
    (to := tmp_path / "out").mkdir()
    (to / ".netD.pth.1.tmp").write_text("of a process that was killed")
    full_at = 3 * 7  # in the discriminator's file
    with pytest.raises(OSError, match="No space"):
        export_torch.run(ExportTorch(to=str(to)))
    assert list(to.iterdir()) == []
    full_at = None
    export_torch.run(ExportTorch(to=str(to)))
    assert {path.name: path.read_text() for path in to.iterdir()} == {
        "netG.pth": "7",
        "netD.pth": "21",
    }
