// The Python class `MapNetwork`.
#pragma once

#include <nanobind/nanobind.h>

namespace smallsight {

void add_map_network(nanobind::module_& module);

}  // namespace smallsight
