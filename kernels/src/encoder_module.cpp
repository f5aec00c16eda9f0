#include "encoder_module.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "encoder.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace smallsight {

namespace {

using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Target = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void require(bool holds, const std::string& what) {
    if (!holds) throw std::invalid_argument(what);
}

template <typename Array>
void require_shape(const Array& array, int rows, int columns) {
    require(static_cast<int>(array.shape(0)) == rows && static_cast<int>(array.shape(1)) == columns,
            "a matrix does not have the encoder's sizes");
}

std::vector<float> vector_of(const Vector& values, int size) {
    require(static_cast<int>(values.shape(0)) == size, "a vector does not have the encoder's size");
    return {values.data(), values.data() + size};
}

std::string path_name(const std::string& name) {
    const EncoderPath* path = choose_encoder_path(name.c_str());
    return path == nullptr ? "" : path->name;
}

struct NamedNumber {
    const char* name;
    Number number;
    bool in_groups;
};
constexpr NamedNumber kNumbers[] = {{"int8", Number::kInt8, false},
                                    {"int8-groups", Number::kInt8, true},
                                    {"int7", Number::kInt7, true},
                                    {"int16", Number::kInt16, true},
                                    {"bf16", Number::kBf16, false}};

struct NamedActivation {
    const char* name;
    Activation activation;
};
constexpr NamedActivation kActivations[] = {{"gelu_pytorch_tanh", Activation::kTanhGelu},
                                            {"quick_gelu", Activation::kQuickGelu},
                                            {"gelu", Activation::kErfGelu}};

Activation activation_named(const std::string& name) {
    const auto found = std::find_if(std::begin(kActivations), std::end(kActivations),
                                    [&](const NamedActivation& one) { return name == one.name; });
    require(found != std::end(kActivations), "an activation must be gelu_pytorch_tanh, quick_gelu or gelu");
    return found->activation;
}

class EncoderModule {
   public:
    EncoderModule(int layers, int hidden, int heads, int ffn, int patches, int patch_width, float epsilon, int threads,
                  const std::string& path, const std::string& activation, bool has_first_token, int most_images)
        : encoder_({layers, hidden, heads, ffn, patches, patch_width, epsilon, activation_named(activation),
                    has_first_token, most_images},
                   threads, path_named(path)),
          missing_(5 * static_cast<std::size_t>(layers) + 3, true) {
        missing_.back() = has_first_token;
    }
    EncoderModule(const EncoderModule& other, int threads)
        : encoder_(other.encoder_, threads), missing_(other.missing_) {}

    EncoderModule* twin(int threads) const {
        require_all_set();
        return new EncoderModule(*this, threads);
    }

    void set_embedding(const Matrix& weight, const Matrix& positions) {
        const EncoderShape& shape = encoder_.shape();
        require_shape(weight, shape.hidden, shape.patch_width);
        require_shape(positions, shape.tokens(), shape.hidden);
        encoder_.set_embedding(weight.data(), positions.data());
        missing_.at(0) = false;
    }

    void set_norms(int layer, const Vector& attention, const Vector& attention_bias, const Vector& ffn,
                   const Vector& ffn_bias) {
        require_layer(layer);
        encoder_.set_norms(layer, norm_of(attention, attention_bias), norm_of(ffn, ffn_bias));
        missing_.at(2 + 5 * layer) = false;
    }

    void set_matrix(int layer, int index, const Matrix& weight, const Vector& bias, const std::string& number) {
        require_layer(layer);
        require(0 <= index && index < 4, "a layer has four matrices");
        const auto found = std::find_if(std::begin(kNumbers), std::end(kNumbers),
                                        [&](const NamedNumber& one) { return number == one.name; });
        require(found != std::end(kNumbers), "a matrix must be int8, int8-groups, int7, int16 or bf16");
        require_shape(weight, encoder_.outputs_of(index), encoder_.inputs_of(index));
        require(static_cast<int>(bias.shape(0)) == encoder_.outputs_of(index), "a bias does not have its matrix's size");
        encoder_.set_matrix(layer, index, weight.data(), bias.data(), found->number, found->in_groups);
        missing_.at(3 + 5 * layer + index) = false;
    }

    void set_first_norm(const Vector& weight, const Vector& bias) {
        require(encoder_.shape().has_first_token, "only an encoder with a first token has a norm before its layers");
        encoder_.set_first_norm(norm_of(weight, bias));
        missing_.back() = false;
    }

    void set_final_norm(const Vector& weight, const Vector& bias) {
        encoder_.set_final_norm(norm_of(weight, bias));
        missing_.at(1) = false;
    }

    void set_connector(const Matrix& weight, int factor) {
        const int side = encoder_.shape().has_first_token ? 1 : side_of(encoder_.shape().patches);
        require(factor > 0 && side > 0 && side % factor == 0, "a connector's squares must divide the patches");
        require_shape(weight, static_cast<int>(weight.shape(0)), encoder_.shape().hidden * factor * factor);
        encoder_.set_connector(weight.data(), static_cast<int>(weight.shape(0)), factor);
    }

    void run(const Matrix& patches, const Target& out) { run_together({patches}, out); }

    void run_together(const std::vector<Matrix>& images, const Target& out) {
        const EncoderShape& shape = encoder_.shape();
        const int count = static_cast<int>(images.size());
        require(0 < count && count <= shape.most_images, "an encoder takes one image, or at most as many as it was made for");
        std::vector<const float*> patches;
        for (const Matrix& one : images) {
            require_shape(one, shape.patches, shape.patch_width);
            patches.push_back(one.data());
        }
        require_shape(out, count * encoder_.output_rows(), encoder_.output_width());
        require_all_set();
        nb::gil_scoped_release released;
        encoder_.run(std::move(patches), out.data());
    }

    nb::tuple output_shape() const { return nb::make_tuple(encoder_.output_rows(), encoder_.output_width()); }
    std::string path() const { return encoder_.path_name(); }
    std::size_t weight_bytes() const { return encoder_.weight_bytes(); }

   private:
    static const EncoderPath* path_named(const std::string& name) {
        const EncoderPath* path = choose_encoder_path(name.c_str());
        require(path != nullptr, "this processor does not run the path " + name);
        return path;
    }

    static int side_of(int patches) {
        int side = 0;
        while (side * side < patches) ++side;
        return side * side == patches ? side : 0;
    }

    void require_all_set() const {
        for (const bool is_missing : missing_) require(!is_missing, "weights of the encoder were not set");
    }

    void require_layer(int layer) const {
        require(0 <= layer && layer < encoder_.shape().layers, "the encoder does not have this layer");
    }

    LayerNorm norm_of(const Vector& weight, const Vector& bias) const {
        return {vector_of(weight, encoder_.shape().hidden), vector_of(bias, encoder_.shape().hidden)};
    }

    Encoder encoder_;
    std::vector<bool> missing_;
};

}  // namespace

void add_encoder(nb::module_& module) {
    module.def(
        "encoder_path_name", [](const std::string& name) { return path_name(name); }, "name"_a,
        "Return the encoder's path of this name, or the fastest for auto; empty if this processor does not run it.");
    module.def(
        "encoder_obstacle",
        [] { return path_name("auto") == "plain" ? "this processor has neither AVX2 nor anything newer" : ""; },
        "Return why the encoder has no fast code here, empty if it has. Asks the system for AMX tiles once.");
    nb::class_<EncoderModule>(module, "Encoder", "A SigLIP's or CLIP's encoder's weights, packed, and its forward pass.")
        .def(nb::init<int, int, int, int, int, int, float, int, const std::string&, const std::string&, bool, int>(),
             "layers"_a, "hidden"_a, "heads"_a, "ffn"_a, "patches"_a, "patch_width"_a, "epsilon"_a, "threads"_a,
             "path"_a = "auto", nb::kw_only(), "activation"_a = "gelu_pytorch_tanh", "has_first_token"_a = false,
             "most_images"_a = 1,
             "With a first token, which comes before the patches, there is a norm before the first layer, and the\n"
             "token's hidden states are the output. `most_images` are the most of one run.")
        .def("set_embedding", &EncoderModule::set_embedding, "weight"_a, "positions"_a,
             "Pack the patch embedding; the positions include its bias, and the first token where there is one.")
        .def("set_norms", &EncoderModule::set_norms, "layer"_a, "attention"_a, "attention_bias"_a, "ffn"_a,
             "ffn_bias"_a)
        .def("set_matrix", &EncoderModule::set_matrix, "layer"_a, "index"_a, "weight"_a, "bias"_a, "number"_a,
             "Pack a layer's matrix, 0 to 3: query, key and value; output; up; down. Computed in int8, with a scale\n"
             "for 768 inputs or, as int8-groups, for 64; in int7 or int16, named by the activations' bits, with scales\n"
             "for 64 inputs (paths plain and avx2); or in bf16.")
        .def("set_first_norm", &EncoderModule::set_first_norm, "weight"_a, "bias"_a)
        .def("set_final_norm", &EncoderModule::set_final_norm, "weight"_a, "bias"_a)
        .def("set_connector", &EncoderModule::set_connector, "weight"_a, "factor"_a,
             "Pack the projection of squares of patches, or of the first token, which then replaces the hidden states as\n"
             "output.")
        .def("twin", &EncoderModule::twin, "threads"_a, nb::keep_alive<0, 1>(), nb::rv_policy::take_ownership,
             "Return an encoder with the same weights that may run at the same time.")
        .def("run", &EncoderModule::run, "patches"_a, "out"_a, "Encode one image's patches.")
        .def("run_together", &EncoderModule::run_together, "images"_a, "out"_a,
             "Encode the patches of several images to rows of `out`. What comes of one does not depend on the others.")
        .def_prop_ro("output_shape", &EncoderModule::output_shape, "Rows and width of an image's output.")
        .def_prop_ro("path", &EncoderModule::path, "The implementation's name.")
        .def_prop_ro("weight_bytes", &EncoderModule::weight_bytes, "Bytes of the packed weights.");
}

}  // namespace smallsight
