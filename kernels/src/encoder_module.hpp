// The encoder's part of the Python module.
#pragma once

#include <nanobind/nanobind.h>

namespace smallsight {

void add_encoder(nanobind::module_& module);

}  // namespace smallsight
