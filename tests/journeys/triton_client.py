"""Asks a server as programs for Triton do, by NVIDIA's own client, and prints what it says as JSON."""

import json
import sys

import numpy as np
import tritonclient.http as triton

address, token = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}"}
client = triton.InferenceServerClient(address)


def tensor(name, values, binary, datatype=None):
    values = np.asarray(values)
    given = triton.InferInput(name, list(values.shape), datatype or triton.np_to_triton_dtype(values.dtype))
    return given.set_data_from_numpy(values, binary_data=binary)


def ask(inputs, outputs=None, model="classification", **how):
    answer = client.infer(model, inputs, outputs=outputs, headers=headers, **how)
    names = [output["name"] for output in answer.get_response()["outputs"]]
    decode = lambda values: [value.decode() if isinstance(value, bytes) else value for value in values]
    return {name: decode(answer.as_numpy(name).ravel().tolist()) for name in names}


x1, x2 = np.array([[1.0], [6.0]]), np.array([[2.0], [6.0]])
wanted = lambda binary, count=0: [triton.InferRequestedOutput("class", binary_data=binary, class_count=count)]
said = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready("classification", headers=headers),
    "server": client.get_server_metadata(headers=headers)["name"],
    "inputs": [each["name"] for each in client.get_model_metadata("classification", headers=headers)["inputs"]],
    "index": client.get_model_repository_index(headers=headers),
    "json": ask([tensor("x1", x1, False), tensor("x2", x2, False)]),
    "binary": ask([tensor("x1", x1, True), tensor("x2", x2, True)]),
    "mixed": ask([tensor("x1", x1, True), tensor("x2", x2, False)]),
    "float32": ask([tensor("x1", x1.astype(np.float32), True), tensor("x2", x2.astype(np.float16), True)]),
    "integers": ask([tensor("x1", x1.astype(np.int64), True), tensor("x2", x2.astype(np.uint8), True)]),
    "matrix": ask([tensor("features", np.hstack([x1, x2]), True)]),
    "class_json": ask([tensor("x1", x1, True), tensor("x2", x2, True)], wanted(False)),
    "class_binary": ask([tensor("x1", x1, True), tensor("x2", x2, True)], wanted(True), priority=1, timeout=5_000_000),
    "top": ask([tensor("x1", x1, True), tensor("x2", x2, True)], wanted(True, 1)),
}
stats = client.get_inference_statistics("classification", headers=headers)["model_stats"][0]
said["counted"] = stats["inference_stats"]["success"]["count"]

refused = []
for attempt in (
    lambda: ask([tensor("x1", x1, True)]),
    lambda: ask([tensor("x1", x1, True), tensor("x2", x2, True)], model="nothing"),
    lambda: ask([tensor("x1", np.array([[b"a"], [b"b"]], dtype=np.object_), True, "BYTES"), tensor("x2", x2, True)]),
):
    try:
        attempt()
    except triton.InferenceServerException as error:
        refused.append([error.status(), error.message()])
said["refused"] = refused

client.unload_model("classification", headers=headers)
said["unloaded"] = [client.is_model_ready("classification", headers=headers), client.is_server_ready()]
client.load_model("classification", headers=headers)
said["loaded"] = [client.is_model_ready("classification", headers=headers)]
try:
    client.load_model("classification", headers=headers, config='{"max_batch_size": 4}')
except triton.InferenceServerException as error:
    said["configured"] = [error.status(), error.message()]
print(json.dumps(said))
