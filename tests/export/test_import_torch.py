"""import-torch and export-torch with PyTorch itself: weights there and back, and hostile files."""

import os
import pickle
import random
import re
import shlex
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch_networks
from running import content, run, write_pictures
from torch_networks import scrambled, torch

from dcgan import UserError
from dcgan.export.torch_file import TorchFile
from dcgan.run.run_dir import RunDir
from dcgan.run.trained_run import TrainedRun

pytestmark = pytest.mark.slow
SMALL = {"ngf": 4, "stages": 2}  # 16x16


def generator(**more):
    return scrambled(torch_networks.generator(**{"nz": 8, **SMALL, **more}))


def discriminator(**more):
    return scrambled(torch_networks.discriminator(**{"ndf": 2, "stages": 2, **more}))


def saved(path, value):
    torch.save(value.state_dict() if isinstance(value, torch.nn.Module) else value, path)
    return path


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """The folder, PyTorch's two networks, and what import-torch said; the run is in run/."""
    base = tmp_path_factory.mktemp("imported")
    pictures = write_pictures(base / "pictures", 140)
    g, d = generator(), discriminator()
    result = run(
        *("import-torch", "--from", saved(base / "netG.pth", g), "--to", base / "run"),
        *("--discriminator", saved(base / "netD.pth", d), "--dataset", pictures),
        cwd=base,
    )
    assert result.returncode == 0, result.stderr
    return base, g, d, result.stdout


def their_images(g, z):
    g.eval()
    with torch.no_grad():
        return g(torch.tensor(z)[:, :, None, None]).numpy().transpose(0, 2, 3, 1)


def test_a_latent_vector_is_the_same_picture_and_a_picture_the_same_score(imported):
    base, g, d, said = imported
    assert "16x16x3, nz = 8, ngf = 4, ndf = 2" in said
    trained = TrainedRun(RunDir(base / "run"))
    z = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    expected = their_images(g, z)
    assert expected.std() > 0.1 and np.abs(expected).min() < 0.5  # neither grey nor saturated
    found = np.asarray(trained._forward(z))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    levels = trained.render(z).astype(int) - np.round((expected + 1) * 127.5)
    assert np.abs(levels).max() <= 1
    d.eval()
    with torch.no_grad():
        scores = d(torch.tensor(expected.transpose(0, 3, 1, 2)))[:, 0, 0, 0].numpy()
    logits = trained.checkpoint.discriminator()(expected).numpy()[:, 0]
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), scores, atol=1e-6)


def test_export_gives_the_same_weights_to_the_tutorials_class(imported, tmp_path):
    base, g, d, _ = imported
    result = run("export-torch", "--run_dir", base / "run", "--to", tmp_path / "out", cwd=base)
    assert result.returncode == 0, result.stderr
    assert "nz = 8, ngf = 4, ndf = 2, nc = 3, image_size = 16" in result.stdout
    for file, one, other in (
        ("netG.pth", g, torch_networks.generator(nz=8, **SMALL)),
        ("netD.pth", d, torch_networks.discriminator(ndf=2, stages=2)),
    ):
        state = torch.load(tmp_path / "out" / file, weights_only=True)
        other.load_state_dict(state, strict=True)
        assert list(state) == list(one.state_dict())
        for name, tensor in one.state_dict().items():
            if name.endswith("num_batches_tracked"):
                assert state[name].dtype == torch.int64 and state[name] == 0  # of step 0
            else:
                assert torch.equal(state[name], tensor), name
    result = run("export-torch", "--run_dir", base / "run", "--to", tmp_path / "out", cwd=base)
    assert result.returncode == 2 and "netG.pth exists already" in result.stderr


def test_every_command_takes_the_run(imported):
    base = imported[0]
    for words in (
        ("sample", "--num_images", 3),
        ("interpolate", "--frames", 2),
        ("evaluate", "--num_images", 140, "--extractor", "pixels", "--metrics", "kid"),
        ("export",),
        ("report",),
    ):
        result = run(*words, "--run_dir", base / "run", cwd=base)
        assert result.returncode == 0, (words, result.stderr)
    assert (base / "run" / "samples" / "00000000.png").is_file()
    assert len(list(base.glob("run/generated/00000000/*.png"))) == 3


def test_training_goes_on_by_the_command_that_was_printed(imported):
    base, g, _, said = imported
    assert "hold no moments of Adam. To continue training, with new ones: " in said
    words = shlex.split(re.search(r"python main\.py (--.*)", said)[1])
    more = ("--steps", 2, "--batch_size", 8, "--cache_dir", base / "cache")
    refused = run(*words, *more, cwd=base)
    assert refused.returncode == 2 and "--batch_size: 128 in the run, 8 now" in refused.stderr
    dry = run(*words, "--dry_run", cwd=base)
    assert dry.returncode == 0, dry.stderr
    result = run(*words, "--steps", 1, "--cache_dir", base / "cache", cwd=base)
    assert result.returncode == 0, result.stderr
    assert "from imported weights" in result.stdout
    with np.load(base / "run" / "checkpoints" / "00000001.npz") as after:
        moved = after["generator/deconv_0/kernel"].transpose(3, 2, 0, 1)
        assert after["generator_optimizer/iteration"] == 1
    step = np.abs(moved - g.state_dict()["main.3.weight"].numpy())
    assert 1e-4 < step.max() < 2.1e-4  # Adam's first step is the learning rate, 2e-4


@pytest.mark.parametrize("stages", [1, 3, 5])
@pytest.mark.parametrize("form", ["plain", "parallel", "dictionary", "nested", "legacy"])
def test_the_forms_in_which_weights_are_kept(tmp_path, form, stages):
    g, d = generator(stages=stages), discriminator(stages=min(stages, 4), nc=1)
    parallel = torch.nn.DataParallel(g)
    value = {
        "plain": g,
        "parallel": parallel,
        "dictionary": {"epoch": 3, "netG": parallel.state_dict(), "netD": d.state_dict()},
        "nested": {"models": {"gen": {"state_dict": g.state_dict()}}, "losses": [0.1, 0.2]},
        "legacy": g,
    }[form]
    path = tmp_path / "file.pth"
    if form == "legacy":
        torch.save(g.state_dict(), path, _use_new_zipfile_serialization=False)
    else:
        saved(path, value)
    file = TorchFile(path)
    assert file.has("discriminator") == (form == "dictionary")
    found = file.weights("generator")
    expected = torch_networks.arrays(g)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_of_several_generators_that_in_training_is_taken_or_none(tmp_path):
    states = {"netG": generator().state_dict(), "netG_ema": generator(ngf=2).state_dict()}
    found = TorchFile(saved(tmp_path / "a.pth", states)).weights("generator")
    assert found["0.weight"].shape == (8, 32, 4, 4)
    states = {"one": states["netG"], "two": states["netG_ema"]}
    with pytest.raises(UserError, match="several that may be the generator: 'one.main', 'two.main"):
        TorchFile(saved(tmp_path / "b.pth", states)).weights("generator")


class Pickled:
    """What a pickle says of how to make something."""

    def __init__(self, *how):
        self.how = how

    def __reduce__(self):
        return self.how


def with_nan():
    state = generator().state_dict()
    state["main.3.weight"][0, 0, 0, 0] = float("nan")
    return state


def replaced(name, tensor):
    state = generator().state_dict()
    if tensor is None:
        del state[name]
    else:
        state[name] = tensor
    return state


BAD = {
    "nan": (with_nan, "not finite"),
    "huge": (
        lambda: replaced("main.0.weight", torch.full((8, 32, 4, 4), 1e200, dtype=torch.double)),
        "not f",
    ),
    "negative variance": (lambda: replaced("main.1.running_var", -torch.ones(32)), "below 0"),
    "missing": (lambda: replaced("main.4.bias", None), "no 4.bias"),
    "shape": (lambda: replaced("main.4.bias", torch.ones(7)), "a 4.bias of (7,)"),
    "whole numbers": (lambda: replaced("main.4.bias", torch.ones(16).int()), "torch.int32"),
    "sparse": (lambda: replaced("main.4.bias", torch.ones(16).to_sparse()), "not a complete file"),
    "meta": (lambda: replaced("main.4.bias", torch.ones(16, device="meta")), "not a complete file"),
    "expanded": (
        lambda: replaced("main.0.weight", torch.ones(1).expand(4096, 4096, 4, 4)),
        "more than the file holds",
    ),
    "a discriminator": (lambda: discriminator().state_dict(), "only a discriminator"),
    "another network": (lambda: {"fc.weight": torch.ones(3, 3)}, "no layers such as main.0.weight"),
    "a list": (lambda: [1, 2], "no layers such as main.0.weight"),
    "the whole object": (lambda: generator().double, "Python object"),
}


def refused(*words, cwd):
    """One sentence and exit code 2, and nothing was written."""
    before = sorted(content(cwd))
    result = run("import-torch", *words, cwd=cwd)
    assert result.returncode == 2, result.stderr + result.stdout
    sentences = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(sentences) == 1 and "Traceback" not in result.stderr
    assert sorted(content(cwd)) == before and not (cwd / "run").exists()
    return sentences[0]


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_with_a_sentence(kind, tmp_path):
    make, words = BAD[kind]
    torch.save(make(), tmp_path / "netG.pth")
    sentence = refused("--from", "netG.pth", "--to", "run", cwd=tmp_path)
    assert words in sentence


def test_code_in_a_file_is_never_run(tmp_path):
    code = Pickled(os.mkdir, (str(tmp_path / "made"),))
    torch.save({"main.0.weight": code}, tmp_path / "zip.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(code, 2))
    torch.save(code, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for file in ("zip.pth", "bare.pth", "old.pth"):
        sentence = refused("--from", file, "--to", "run", cwd=tmp_path)
        assert file == "bare.pth" or "Python object (posix.mkdir)" in sentence, sentence
        assert not (tmp_path / "made").exists()


def test_what_else_is_refused_before_anything_is_written(tmp_path):
    saved(tmp_path / "netG.pth", generator())
    saved(tmp_path / "netD.pth", discriminator(stages=3))
    (tmp_path / "text.pth").write_text("weights")
    (tmp_path / "empty.pth").write_bytes(b"")
    for words, expected in (
        (("--from", "absent.pth"), "There is no file absent.pth"),
        (("--from", "."), "There is no file ."),
        (("--from", "text.pth"), "not a complete file of PyTorch's weights"),
        (("--from", "empty.pth"), "not a complete file of PyTorch's weights"),
        (("--from", "netG.pth", "--discriminator", "netD.pth"), "do not belong together"),
        (("--from", "netG.pth", "--discriminator", "netG.pth"), "only a generator"),
        (("--from", "netD.pth"), "only a discriminator"),
    ):
        assert expected in refused(*words, "--to", "run", cwd=tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for to in ("full", "text.pth"):
        sentence = refused("--from", "netG.pth", "--to", to, cwd=tmp_path)
        assert f"--to {to} is not empty" in sentence
    sentence = refused("--from", "netG.pth", "--to", "text.pth/run", cwd=tmp_path)
    assert "The folder text.pth/run cannot be written (Not a directory); choose" in sentence
    assert "with --to." in sentence


@pytest.mark.parametrize("behind", [b"", b"x" * 67_000], ids=["whole", "followed"])
def test_pytorch_reads_no_other_zip_than_was_checked(tmp_path, behind):
    """It finds a zip's directory farther before the end of a file than others look for it."""
    saved(tmp_path / "whole.pth", generator())
    with (
        zipfile.ZipFile(tmp_path / "whole.pth") as one,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as other,
    ):
        for entry in one.namelist():
            other.writestr(entry, one.read(entry))
    with open(tmp_path / "packed.pth", "ab") as file:
        file.write(behind)
    words = "not a zip file" if behind else "packed, overlap"
    with pytest.raises(UserError, match=words):
        TorchFile(tmp_path / "packed.pth")


def test_what_objects_say_of_themselves_is_not_asked(tmp_path):
    """Attributes that stand before methods, and a dictionary that is in itself many times."""
    state = generator().state_dict()
    says = dict.fromkeys(("items", "numel", "element_size", "detach", "float"), 3)
    make, name = torch._utils._rebuild_parameter_with_state, "main.0.weight"
    odd = {**state, name: Pickled(make, (state[name], False, OrderedDict(), says))}
    around: dict = {"netG": Pickled(OrderedDict, (), says, None, iter(odd.items()))}
    around |= {str(i): around for i in range(2000)}
    found = TorchFile(saved(tmp_path / "odd.pth", around)).weights("generator")
    assert found["0.weight"].shape == (8, 32, 4, 4)


def test_damaged_files_end_in_a_sentence_whatever_is_damaged(tmp_path):
    """Cut, and with bytes changed: read as weights all the same, or refused; nothing else."""
    random.seed(3)
    outcomes = set()
    for modern in (True, False):
        path = tmp_path / f"whole-{modern}.pth"
        torch.save(generator().state_dict(), path, _use_new_zipfile_serialization=modern)
        whole = path.read_bytes()
        for attempt in range(150):
            data = bytearray(whole)
            if attempt % 3 == 0:
                del data[random.randrange(len(data)) :]
            for _ in range(attempt % 3 * 4):
                # Half of them in the head, where the pickle is.
                end = random.choice((len(data), 2000))
                data[random.randrange(end)] = random.randrange(256)
            if attempt % 7 == 0:
                data[64:72] = struct.pack("<q", -1)
            path.write_bytes(data)
            try:
                TorchFile(path).weights("generator")
                outcomes.add("read")
            except UserError as error:
                assert "\n" not in str(error) and len(str(error)) < 500
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}
