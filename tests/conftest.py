"""The first lines of a run say where it ran: answers and speed depend on the processor and on the runtime."""

from __future__ import annotations


def pytest_report_header() -> list[str]:
    import openvino

    from smallsight.machine.processor import processor

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [
        f"processor: {processor()}",
        f"openvino: {openvino.get_version()}, capabilities of CPU: {' '.join(capabilities)}",
    ]
