"""The option ``--device``, with a short message for an unknown one in place of OpenVINO's four lines."""

from __future__ import annotations

from medanomaly.options import wrong_value

#: Devices that stand for several.
_VIRTUAL = ("AUTO", "HETERO", "MULTI")
#: Devices that OpenVINO has plugins for, be they on a machine or not.
_KNOWN = ("CPU", "GPU", "NPU")


def check_device(device: str) -> None:
    """See that a device is there.

    Args:
        device: As OpenVINO names it, such as ``CPU``, ``GPU.0`` or ``AUTO:GPU,CPU``.

    Raises:
        OptionError: if not.
    """
    from medanomaly.edge.detector import core

    there = [*core().available_devices, *_VIRTUAL]
    if device.partition(":")[0].partition(".")[0] not in {name.partition(".")[0] for name in there}:
        # A device that other machines have is no misspelt one.
        real = device.partition(":")[0].partition(".")[0] in _KNOWN
        reason = f"is not on this machine; here: {', '.join(there)}" if real else f"must be one of {', '.join(there)}"
        raise wrong_value("--device", device, reason, () if real else there)
