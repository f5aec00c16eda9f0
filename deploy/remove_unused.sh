#!/bin/sh
# Removes from an environment what Smallsight never loads. deploy/Dockerfile calls it in the step that installs.
set -eu
environment=${1:?the folder of an environment}
packages=$(echo "$environment"/lib/python3*/site-packages)

# OpenVINO: it runs on the CPU. Without the plugins of Intel's GPUs and NPUs, and the former's tuning (cache.json).
rm -f "$packages"/openvino/libs/libopenvino_intel_gpu_plugin.so \
    "$packages"/openvino/libs/libopenvino_intel_npu_plugin.so \
    "$packages"/openvino/libs/cache.json
# Readers of formats that nothing here has. RapidOCR's networks are ONNX, so that reader stays.
for format in gguf jax paddle pytorch tensorflow tensorflow_lite; do
    rm -f "$packages"/openvino/libs/libopenvino_${format}_frontend.so.*
done
# For programs in C and C++ that are built against it.
rm -rf "$packages"/openvino/include "$packages"/openvino/cmake "$packages"/openvino/libs/tbb.pc
rm -f "$packages"/openvino/libs/libopenvino_c.so.*

# SQLAlchemy: its own tests' tools, and databases that the library is never in.
rm -rf "$packages"/sqlalchemy/testing "$packages"/alembic/testing
for database in mssql mysql oracle; do
    rm -rf "$packages"/sqlalchemy/dialects/$database
done
# Building of extensions, and of Fortran.
rm -rf "$packages"/numpy/distutils "$packages"/numpy/f2py
# Colours for the source of 500 languages: tracebacks are Python's.
find "$packages"/pygments/lexers -type f ! -name '__init__.py' ! -name '_mapping.py' ! -name 'python.py' \
    ! -name 'special.py' -delete

# Tests, headers and type hints of packages: read by developers only.
find "$packages" -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +
find "$packages" -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.h' -o -name '*.hpp' \
    -o -name '*.a' -o -name '*.lib' \) -delete

# Names of functions inside libraries, for debuggers. Some packages are published with them.
find "$packages" -name '*.so*' -type f \( -path '*/cryptography/*' -o -path '*/hf_xet/*' -o -path '*/tokenizers/*' \
    -o -path '*/sqlalchemy/*' \) -exec strip --strip-unneeded {} +

# Byte code, which a read-only root cannot store later: of the modules that Smallsight imports, not of all there are.
"$environment"/bin/python - <<'END'
import importlib, pkgutil, smallsight
for module in pkgutil.walk_packages(smallsight.__path__, "smallsight."):
    if module.name.endswith(".__main__") or ".torch" in module.name or ".migrations." in module.name:
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as problem:
        print(f"without {problem.name}: {module.name}")
END
"$environment"/bin/python -m compileall -q "$packages"/smallsight
