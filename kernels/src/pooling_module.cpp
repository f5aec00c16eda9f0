#include "pooling_module.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "pooling_head.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace smallsight {

namespace {

template <typename T, int kDims>
using Array = nb::ndarray<const T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
using Target = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void require(bool holds, const std::string& what) {
    if (!holds) throw std::invalid_argument(what);
}

class PoolingModule {
   public:
    PoolingModule(int hidden, int ffn, int heads, int patches, float epsilon, const std::string& path)
        : head_({hidden, ffn, heads, patches, epsilon}, path_named(path)) {}

    void set_queries(const Array<float, 2>& queries) {
        require_shape(queries, head_.shape().heads, head_.shape().hidden);
        head_.set_queries(queries.data());
        is_set_[0] = true;
    }

    void set_norm(const Array<float, 1>& weight, const Array<float, 1>& bias) {
        require_size(weight, head_.shape().hidden);
        require_size(bias, head_.shape().hidden);
        head_.set_norm(weight.data(), bias.data());
        is_set_[1] = true;
    }

    void set_codes(int index, const Array<std::int8_t, 2>& codes, const Array<float, 2>& scales,
                   const Array<float, 1>& bias) {
        require_matrix(index, codes, bias);
        const int inputs = head_.inputs_of(index), groups = static_cast<int>(scales.shape(1));
        require(scales.shape(0) == codes.shape(0) && groups > 0 && inputs % groups == 0 && inputs / groups % kLanes == 0,
                "a scale belongs to a multiple of 16 codes of a row");
        head_.set_codes(index, codes.data(), scales.data(), inputs / groups, bias.data());
        is_set_[2 + index] = true;
    }

    void set_halves(int index, const Array<std::uint16_t, 2>& bits, const Array<float, 1>& bias) {
        require_matrix(index, bits, bias);
        head_.set_halves(index, bits.data(), bias.data());
        is_set_[2 + index] = true;
    }

    void run(const Array<float, 2>& hidden, const Target& out) const {
        require_shape(hidden, head_.shape().patches, head_.shape().hidden);
        require(static_cast<int>(out.shape(0)) == head_.shape().hidden, "a vector does not have the head's size");
        require(std::all_of(is_set_, is_set_ + 6, [](bool one) { return one; }), "weights of the head were not set");
        nb::gil_scoped_release released;
        head_.run(hidden.data(), out.data());
    }

    std::string path() const { return head_.path_name(); }
    std::size_t weight_bytes() const { return head_.weight_bytes(); }

   private:
    static const KernelPath* path_named(const std::string& name) {
        const KernelPath* path = choose_path(name.c_str());
        require(path != nullptr, "this processor does not run the path " + name);
        return path;
    }

    template <typename T>
    static void require_shape(const Array<T, 2>& array, int rows, int columns) {
        require(static_cast<int>(array.shape(0)) == rows && static_cast<int>(array.shape(1)) == columns,
                "a matrix does not have the head's sizes");
    }

    static void require_size(const Array<float, 1>& values, int size) {
        require(static_cast<int>(values.shape(0)) == size, "a vector does not have the head's size");
    }

    template <typename T>
    void require_matrix(int index, const Array<T, 2>& matrix, const Array<float, 1>& bias) const {
        require(0 <= index && index < 4, "a head has four matrices");
        require_shape(matrix, head_.outputs_of(index), head_.inputs_of(index));
        require_size(bias, head_.outputs_of(index));
    }

    PoolingHead head_;
    bool is_set_[6] = {};
};

}  // namespace

void add_pooling(nb::module_& module) {
    nb::class_<PoolingModule>(module, "PoolingHead", "A SigLIP's pooling head, and its forward pass.")
        .def(nb::init<int, int, int, int, float, const std::string&>(), "hidden"_a, "ffn"_a, "heads"_a, "patches"_a,
             "epsilon"_a, "path"_a = "auto")
        .def("set_queries", &PoolingModule::set_queries, "queries"_a,
             "Set what patches are multiplied by for their scores, [heads, hidden].")
        .def("set_norm", &PoolingModule::set_norm, "weight"_a, "bias"_a)
        .def("set_codes", &PoolingModule::set_codes, "index"_a, "codes"_a, "scales"_a, "bias"_a,
             "Set a matrix, 0 to 3: values, output, up, down; int8 [outputs, inputs], float32 [outputs, groups].")
        .def("set_halves", &PoolingModule::set_halves, "index"_a, "bits"_a, "bias"_a,
             "Set a matrix in bfloat16, its bits as uint16 [outputs, inputs].")
        .def("run", &PoolingModule::run, "hidden"_a, "out"_a,
             "Write the vector of hidden states [patches, hidden] to float32 [hidden]. Threads may call it at once.")
        .def_prop_ro("path", &PoolingModule::path, "The implementation's name.")
        .def_prop_ro("weight_bytes", &PoolingModule::weight_bytes, "Bytes of the matrices.");
}

}  // namespace smallsight
