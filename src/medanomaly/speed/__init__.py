"""How fast a bundle is on this machine, beside what other engines make of the same network.

The other engines are imported in processes of their own (:mod:`medanomaly.speed.engine_worker`), so that this package,
like the edge, needs nothing but the base install.
"""

#: Engines by name, and the packages that they need. OpenVINO's inferencer comes twice: as it is, which takes bfloat16
#: where the CPU has it, and held to f32.
ENGINES = {
    "anomalib-openvino-f32": ("anomalib", "openvino"),
    "anomalib-openvino": ("anomalib", "openvino"),
    "anomalib-torch": ("anomalib", "torch"),
    "onnxruntime": ("onnxruntime",),
}
#: OpenVINO's own benchmark, which finds the machine's bound.
FOUND_BY = "benchmark_app"

#: Everything that can be measured beside ours.
NAMES = (*ENGINES, FOUND_BY)
