// The Python class of the pooling head.
#pragma once

#include <nanobind/nanobind.h>

namespace smallsight {

void add_pooling(nanobind::module_& module);

}  // namespace smallsight
