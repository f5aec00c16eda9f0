// The Python module: builds decoders from stored weights and runs their steps.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "decode_step.hpp"
#include "encoder_module.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace smallsight {

namespace {

template <typename T, int kDims>
using Read = nb::ndarray<const T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
template <typename T, int kDims>
using Write = nb::ndarray<T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
using Bytes = Read<std::uint8_t, 3>;   // codes: [outputs, groups, bytes]
using Halves = Read<std::uint16_t, 3>;  // scales as bits: [outputs, groups, 1]

void require(bool holds, const std::string& what) {
    if (!holds) throw std::invalid_argument(what);
}

PackedMatrix packed(const Bytes& codes, const Halves& scales, int outputs, int inputs, bool is_gated,
                    Arena& arena) {
    const int rows = static_cast<int>(scales.shape(0)), groups = static_cast<int>(scales.shape(1));
    require(rows == outputs && groups > 0 && inputs % groups == 0 && codes.shape(0) == scales.shape(0) &&
                codes.shape(1) == scales.shape(1) && scales.shape(2) == 1,
            "a matrix does not have the decoder's sizes");
    const int group = inputs / groups, bits = static_cast<int>(codes.shape(2)) * 8 / group;
    require(bits == 8 || bits == 4, "a matrix must have 8 or 4 bits");
    return pack({codes.data(), scales.data(), outputs, inputs, group, bits}, is_gated, arena);
}

std::vector<float> vector_of(const Read<float, 1>& values, int size) {
    require(static_cast<int>(values.shape(0)) == size, "a vector does not have the decoder's size");
    return {values.data(), values.data() + size};
}

class Decoder {
   public:
    Decoder(int layers, int hidden, int heads, int kv_heads, int head_dim, int ffn, int vocabulary,
            int context_tokens, float epsilon, const Read<float, 1>& frequencies, int threads,
            const std::string& path)
        : step_({layers, hidden, heads, kv_heads, head_dim, ffn, vocabulary, context_tokens, epsilon},
                {frequencies.data(), frequencies.data() + frequencies.shape(0)}, threads, path_named(path)),
          caches_(layers) {}

    void set_layer(int index, const Read<float, 1>& attention_norm, const Read<float, 1>& ffn_norm,
                   const std::vector<std::pair<Bytes, Halves>>& matrices);
    void set_head(const Read<float, 1>& norm, const Bytes& codes, const Halves& scales) {
        const DecoderShape& shape = step_.shape();
        step_.set_head(vector_of(norm, shape.hidden),
                       packed(codes, scales, shape.vocabulary, shape.hidden, false, step_.arena()));
    }

    // The arrays [blocks, kv_heads, 32, head_dim] are read and written in each step, as float32 or as bfloat16 bits.
    template <typename T>
    void set_cache(int index, const Write<T, 4>& keys, const Write<T, 4>& values) {
        const DecoderShape& shape = step_.shape();
        for (const auto* one : {&keys, &values})
            require(static_cast<int>(one->shape(1)) == shape.kv_heads && one->shape(2) == kBlockTokens &&
                        static_cast<int>(one->shape(3)) == shape.head_dim,
                    "a cache does not have the decoder's sizes");
        DecoderLayer& layer = step_.layer(index);
        layer.keys = keys.data();
        layer.values = values.data();
        step_.set_cache_type(sizeof(T) == 2);
        caches_[index] = {nb::cast(keys), nb::cast(values)};
        blocks_ = static_cast<int>(keys.shape(0));
    }

    void run(const Read<float, 2>& embeddings, const Read<std::int32_t, 1>& positions,
             const Read<std::int32_t, 1>& tables, const Read<std::int32_t, 1>& begins, const Write<float, 2>& logits);

    std::vector<double> take_seconds() { return step_.take_seconds(); }
    std::string path() const { return step_.path_name(); }
    std::size_t weight_bytes() const { return step_.weight_bytes(); }

   private:
    static const KernelPath* path_named(const std::string& name) {
        const KernelPath* path = choose_path(name.c_str());
        require(path != nullptr, "this processor does not run the path " + name);
        return path;
    }

    DecodeStep step_;
    std::vector<std::pair<nb::object, nb::object>> caches_;
    int blocks_ = 0;
};

void Decoder::set_layer(int index, const Read<float, 1>& attention_norm, const Read<float, 1>& ffn_norm,
                        const std::vector<std::pair<Bytes, Halves>>& matrices) {
    const DecoderShape& shape = step_.shape();
    require(matrices.size() == 4, "a layer has four matrices");
    DecoderLayer& layer = step_.layer(index);
    const auto one = [&](int number, int outputs, int inputs, bool is_gated) {
        return packed(matrices[number].first, matrices[number].second, outputs, inputs, is_gated, step_.arena());
    };
    layer.attention_norm = vector_of(attention_norm, shape.hidden);
    layer.ffn_norm = vector_of(ffn_norm, shape.hidden);
    layer.attention = one(0, shape.joined_width(), shape.hidden, false);
    layer.output = one(1, shape.hidden, shape.heads * shape.head_dim, false);
    layer.gate_up = one(2, 2 * shape.ffn, shape.hidden, true);
    layer.down = one(3, shape.hidden, shape.ffn, false);
}

void Decoder::run(const Read<float, 2>& embeddings, const Read<std::int32_t, 1>& positions,
                  const Read<std::int32_t, 1>& tables, const Read<std::int32_t, 1>& begins,
                  const Write<float, 2>& logits) {
    const DecoderShape& shape = step_.shape();
    const int rows = static_cast<int>(positions.shape(0)), entries = static_cast<int>(tables.shape(0));
    require(0 < rows && rows <= kMaxRows, "a step has 1 to 16 rows");
    require(static_cast<int>(embeddings.shape(0)) == rows && static_cast<int>(begins.shape(0)) == rows &&
                static_cast<int>(logits.shape(0)) >= rows,
            "the arrays of a step must have one row for each sequence");
    require(static_cast<int>(embeddings.shape(1)) == shape.hidden &&
                static_cast<int>(logits.shape(1)) == shape.vocabulary,
            "the arrays of a step do not have the decoder's sizes");
    for (int row = 0; row < rows; ++row) {
        const int position = positions.data()[row], begin = begins.data()[row];
        require(0 <= position && position < shape.context_tokens, "a position is outside the context");
        require(0 <= begin && begin + position / kBlockTokens < entries, "a block table is too short");
    }
    for (int entry = 0; entry < entries; ++entry)
        require(0 <= tables.data()[entry] && tables.data()[entry] < blocks_, "a block is outside the cache");
    const StepRows step = {rows, embeddings.data(), positions.data(), tables.data(), begins.data(), logits.data()};
    nb::gil_scoped_release released;
    step_.run(step);
}

}  // namespace

}  // namespace smallsight

NB_MODULE(smallsight_kernels, module) {
    using smallsight::Decoder;
    module.doc() = "The decode step of small language models in C++.";
    smallsight::add_encoder(module);
    nb::set_leak_warnings(false);  // a model that is open when the interpreter ends is not an error
    module.attr("MAX_ROWS") = smallsight::kMaxRows;
    module.def(
        "path_name",
        [](const std::string& wanted) {
            const smallsight::KernelPath* path = smallsight::choose_path(wanted.c_str());
            return std::string(path == nullptr ? "" : path->name);
        },
        "wanted"_a = "auto", "Return the name of the implementation for this processor, empty if it has none.");
    nb::class_<Decoder>(module, "Decoder", "A Llama-like decoder's weights, packed, and its decode step.")
        .def(nb::init<int, int, int, int, int, int, int, int, float, const smallsight::Read<float, 1>&, int,
                      const std::string&>(),
             "layers"_a, "hidden"_a, "heads"_a, "kv_heads"_a, "head_dim"_a, "ffn"_a, "vocabulary"_a,
             "context_tokens"_a, "epsilon"_a, "frequencies"_a, "threads"_a, "path"_a = "auto")
        .def("set_layer", &Decoder::set_layer, "index"_a, "attention_norm"_a, "ffn_norm"_a, "matrices"_a,
             "Pack a layer's matrices: query, key and value; output; gate and up; down.")
        .def("set_head", &Decoder::set_head, "norm"_a, "codes"_a, "scales"_a, "Pack the output head.")
        .def("set_cache", &Decoder::set_cache<float>, "index"_a, "keys"_a, "values"_a,
             "Use these arrays as a layer's KV cache: float32, or the bits of bfloat16.")
        .def("set_cache", &Decoder::set_cache<std::uint16_t>, "index"_a, "keys"_a, "values"_a)
        .def("run", &Decoder::run, "embeddings"_a, "positions"_a, "tables"_a, "table_begins"_a, "logits"_a,
             "Compute the next tokens' logits and store their keys and values.")
        .def("take_seconds", &Decoder::take_seconds,
             "Return the seconds spent in norms, products, attention, joining and the head since the last call.")
        .def_prop_ro("path", &Decoder::path, "The implementation's name.")
        .def_prop_ro("weight_bytes", &Decoder::weight_bytes, "Bytes of the packed weights.");
}
