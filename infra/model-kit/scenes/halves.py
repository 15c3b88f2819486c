"""Stores a graph's float32 weights as float16, each followed by a Cast back.

Half the file, the same arithmetic: ONNX Runtime folds the casts while loading and computes in float32.
"""

import onnx
from onnx import TensorProto, helper, numpy_helper


def store_as_halves(model: onnx.ModelProto) -> onnx.ModelProto:
    kept, casts = [], []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            kept.append(weight)
            continue
        half = weight.name + ".half"
        kept.append(numpy_helper.from_array(numpy_helper.to_array(weight).astype("float16"), half))
        casts.append(helper.make_node("Cast", [half], [weight.name], name=half + ".cast", to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(casts + nodes)
    return model
