"""The generator as an ONNX file: z [N, z_dim] -> images float32 [N, H, W, C], any batch size."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan.export.format import Format, Subject
from dcgan.export.saved_model import label_inputs, make_generate, z_input
from dcgan.latent.class_words import OWN
from dcgan.latent.labels import ClassTable
from dcgan.models import Generator
from dcgan.terminal.quiet import quiet_start

# Every release of ONNX Runtime and onnxruntime-web since 2022 reads it.
OPSET = 17
PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
SMALLEST_HALVED = 256  # elements; for smaller weights, a Cast takes more bytes than it saves


def write_onnx(
    generator: Generator,
    path: Path,
    *,
    weights: str = "float32",
    table: ClassTable | None = None,
    is_optional: bool = True,
) -> None:
    """Writes a built float32 generator as ONNX.

    Args:
        weights: float32, or float16 to store weights in half of the bytes and compute in float32.
        table: the generator's classes; each column becomes an input int32 [N].
        is_optional: whether these inputs may be left out, which means `OWN`. onnxruntime-web does
            not support optional inputs.
    """
    import onnx
    import tf2onnx

    labels = label_inputs(table) if table else []
    signature = [z_input(generator), *labels]
    generate = make_generate(generator, table)

    @tf.function(input_signature=signature, autograph=False)
    def serving_default(z, *columns):
        return {"images": generate(z, *columns)}

    with quiet_start():  # TensorFlow's optimizer, which the converter calls, may say what it does
        model, _ = tf2onnx.convert.from_function(serving_default, signature, opset=OPSET)
    if weights == "float16":
        _halve(model)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    for label in labels if is_optional else ():
        # The default of an input that is left out; its single row is broadcast.
        own = onnx.numpy_helper.from_array(np.array([OWN], np.int32), label.name)
        model.graph.initializer.append(own)
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, str(path))


def _halve(model) -> None:
    """Stores weights as float16 with a Cast to float32, which ONNX Runtime computes at loading.

    What z is compared with stays as it is: rounded, it would give some z another class.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = 0
    compared = {
        name for node in model.graph.node if node.op_type == "GreaterOrEqual" for name in node.input
    }
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        is_large = tensor.data_type == TensorProto.FLOAT and values.size >= SMALLEST_HALVED
        if is_large and tensor.name not in compared:
            half = f"{tensor.name}_float16"
            cast = helper.make_node("Cast", [half], [tensor.name], name=half, to=TensorProto.FLOAT)
            model.graph.node.insert(casts, cast)
            casts += 1
            tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), half))


def _write(subject: Subject, path: Path, weights: str) -> None:
    write_onnx(subject.generator, path, weights=weights, table=subject.table)


FORMAT = Format(
    name="onnx",
    target="generator.onnx",
    write=_write,
    runtime="onnx",
    packages=PACKAGES,
    halves=True,
)
