"""Which devices train, in which precision, and how many steps a call does."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from dcgan.distributed import devices as devices_module
from dcgan.distributed.devices import avoid_remapper, device_names, native_precision, steps_per_call


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes the machine have other hardware."""

    def fake(*, cpu_flags: str | None = None, gpus: tuple[dict, ...] = ()) -> None:
        cpuinfo = tmp_path / "cpuinfo"
        if cpu_flags is not None:
            cpuinfo.write_text(f"model name : some CPU\nflags : fpu {cpu_flags} sse\n")
        monkeypatch.setattr(devices_module, "Path", lambda path: cpuinfo)
        devices = [SimpleNamespace(name=f"GPU:{i}", details=gpu) for i, gpu in enumerate(gpus)]
        for kind in ("physical", "logical"):
            monkeypatch.setattr(tf.config, f"list_{kind}_devices", lambda wanted: devices)
        monkeypatch.setattr(
            tf.config.experimental, "get_device_details", lambda device: device.details
        )

    return fake


def gpu(major: int, minor: int = 0) -> dict:
    return {"compute_capability": (major, minor), "device_name": f"GPU of {major}.{minor}"}


@pytest.mark.parametrize(
    ("hardware", "precision"),
    [
        ({"cpu_flags": "avx2 amx_bf16"}, "bfloat16"),
        ({"cpu_flags": "avx512_bf16"}, "bfloat16"),
        ({"cpu_flags": "avx512_bf16x avx512f"}, "float32"),
        ({"cpu_flags": None}, "float32"),  # no Linux
        ({"gpus": (gpu(8),)}, "bfloat16"),
        ({"gpus": (gpu(9), gpu(8, 6))}, "bfloat16"),
        ({"gpus": (gpu(9), gpu(7, 5))}, "float32"),
        ({"gpus": (gpu(7, 5),), "cpu_flags": "amx_bf16"}, "float32"),  # the CPU does not train
        ({"gpus": ({},)}, "float32"),  # a device that does not tell
    ],
)
def test_bfloat16_is_for_hardware_that_multiplies_it(machine, hardware, precision):
    machine(**hardware)
    assert native_precision() == precision


def test_gpus_do_several_steps_a_call(machine):
    machine(cpu_flags="")
    assert (steps_per_call(None), steps_per_call(5)) == (1, 5)
    machine(gpus=(gpu(8),))
    assert (steps_per_call(None), steps_per_call(1)) == (8, 1)


def test_the_remapper_stays_on_for_gpus_only(machine, monkeypatch):
    asked = []
    monkeypatch.setattr(tf.config.optimizer, "set_experimental_options", asked.append)
    machine(gpus=(gpu(8),))
    avoid_remapper()
    assert not asked
    machine(cpu_flags="")
    avoid_remapper()
    assert asked == [{"remapping": False}]


def test_the_devices_named_are_those_of_this_machine(machine):
    def of(replicas: int, here: int):
        extended = SimpleNamespace(worker_devices=("device",) * here)
        return SimpleNamespace(num_replicas_in_sync=replicas, extended=extended)

    machine(cpu_flags="")
    assert device_names(of(1, 1)) == ["CPU"]
    assert device_names(of(2, 2)) == ["CPU:0", "CPU:1"]
    assert device_names(of(2, 1)) == ["CPU"]  # one of two workers
    machine(gpus=(gpu(8), gpu(7)))
    assert device_names(of(4, 2)) == ["GPU of 8.0", "GPU of 7.0"]
    assert device_names(of(1, 1)) == ["GPU of 8.0"]
