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
#include "map_network_module.hpp"
#include "picture_patches.hpp"
#include "picture_resize.hpp"
#include "pooling_module.hpp"

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

using Vectors = std::vector<Read<float, 1>>;

// Returns a norm of one vector, or of a scale and a shift.
Norm norm_of(const Read<float, 1>& weight, const Read<float, 1>* bias, int size) {
    return {vector_of(weight, size), bias == nullptr ? std::vector<float>() : vector_of(*bias, size)};
}

// Returns a bias with room for whole blocks of outputs; nothing for an empty one.
std::vector<float> bias_of(const Read<float, 1>& values, int outputs) {
    if (values.shape(0) == 0) return {};
    std::vector<float> bias = vector_of(values, outputs);
    bias.resize((outputs + kLanes - 1) / kLanes * kLanes, 0.0f);
    return bias;
}

LayerKind kind_named(const std::string& name) {
    require(name == "gated" || name == "parallel" || name == "cross", "there is no kind of layer named " + name);
    return name == "gated" ? LayerKind::kGated : name == "parallel" ? LayerKind::kParallel : LayerKind::kCross;
}

using Memories = std::vector<std::pair<Read<std::uint16_t, 5>, int>>;  // and how many tokens each has

class Decoder {
   public:
    Decoder(int layers, int hidden, int heads, int kv_heads, int head_dim, int ffn, int vocabulary,
            int context_tokens, float epsilon, const std::string& kind, const Read<float, 1>& frequencies, int max_rows,
            int threads, const std::string& path)
        : step_({layers, hidden, heads, kv_heads, head_dim, ffn, vocabulary, context_tokens, epsilon,
                 kind_named(kind), max_rows},
                {frequencies.data(), frequencies.data() + frequencies.shape(0)}, threads, path_named(path)),
          caches_(layers) {}

    void set_layer(int index, const Vectors& norms, const std::vector<std::pair<Bytes, Halves>>& matrices,
                   const Vectors& biases);
    void set_head(const Vectors& norm, const Bytes& codes, const Halves& scales, const Read<float, 1>& bias) {
        const DecoderShape& shape = step_.shape();
        require(norm.size() == 1 || norm.size() == 2, "a norm has one or two vectors");
        step_.set_head(norm_of(norm[0], norm.size() == 2 ? &norm[1] : nullptr, shape.hidden),
                       {packed(codes, scales, shape.vocabulary, shape.hidden, false, step_.arena()),
                        bias_of(bias, shape.vocabulary)});
    }

    // The arrays [blocks, kv_heads, 32 * head_dim] are read and written in each step, as bits of bfloat16.
    void set_cache(int index, const Write<std::uint16_t, 3>& keys, const Write<std::uint16_t, 3>& values) {
        const DecoderShape& shape = step_.shape();
        for (const auto* one : {&keys, &values})
            require(static_cast<int>(one->shape(1)) == shape.kv_heads &&
                        static_cast<int>(one->shape(2)) == kBlockTokens * shape.head_dim &&
                        one->shape(0) == keys.shape(0),
                    "a cache does not have the decoder's sizes");
        DecoderLayer& layer = step_.layer(index);
        layer.keys = keys.data();
        layer.values = values.data();
        caches_[index] = {nb::cast(keys), nb::cast(values)};
        blocks_ = static_cast<int>(keys.shape(0));
    }

    void run(const Read<float, 2>& embeddings, const Read<std::int32_t, 2>& pieces,
             const Read<std::int32_t, 1>& tables, const Write<float, 2>& logits, const Write<float, 2>& last_hidden,
             const Memories& memories);

    std::vector<double> take_seconds() { return step_.take_seconds(); }
    std::string path() const { return step_.path_name(); }
    std::size_t weight_bytes() const { return step_.weight_bytes(); }

   private:
    static const KernelPath* path_named(const std::string& name) {
        const KernelPath* path = choose_path(name.c_str());
        require(path != nullptr, "this processor does not run the path " + name);
        return path;
    }
    // Checks one piece's numbers, and returns how many blocks it needs.
    int blocks_needed(int length, int position, int prefix) const;
    Memory memory_of(const std::pair<Read<std::uint16_t, 5>, int>& given) const;

    DecodeStep step_;
    std::vector<std::pair<nb::object, nb::object>> caches_;
    int blocks_ = 0;
};

void Decoder::set_layer(int index, const Vectors& norms, const std::vector<std::pair<Bytes, Halves>>& matrices,
                        const Vectors& biases) {
    const DecoderShape& shape = step_.shape();
    const bool is_gated = shape.kind == LayerKind::kGated, is_cross = shape.kind == LayerKind::kCross;
    require(norms.size() == (is_cross ? 6u : 2u) && matrices.size() == (is_cross ? 6u : 4u) &&
                biases.size() == matrices.size(),
            "a layer has two vectors and four matrices, or six of each with a cross part");
    DecoderLayer& layer = step_.layer(index);
    const auto one = [&](int number, int outputs, int inputs) -> Linear {
        const auto& [codes, scales] = matrices[number];
        return {packed(codes, scales, outputs, inputs, number == 2 && is_gated, step_.arena()),
                bias_of(biases[number], outputs)};
    };
    const auto norm = [&](int number) { return norm_of(norms[number], is_gated ? nullptr : &norms[number + 1], shape.hidden); };
    layer.attention_norm = norm(0);
    if (is_gated) layer.ffn_norm = norm(1);
    layer.attention = one(0, shape.joined_width(), shape.hidden);
    layer.output = one(1, shape.hidden, shape.heads * shape.head_dim);
    layer.ffn_up = one(2, is_gated ? 2 * shape.ffn : shape.ffn, shape.hidden);
    layer.ffn_down = one(3, shape.hidden, shape.ffn);
    if (is_cross) {
        layer.cross_norm = norm(2);
        layer.ffn_norm = norm(4);
        layer.cross_query = one(4, shape.hidden, shape.hidden);
        layer.cross_output = one(5, shape.hidden, shape.hidden);
    }
    require(shape.kind != LayerKind::kParallel || layer.attention.matrix.group == layer.ffn_up.matrix.group,
            "matrices that read the same values must have the same groups");
}

Memory Decoder::memory_of(const std::pair<Read<std::uint16_t, 5>, int>& given) const {
    const DecoderShape& shape = step_.shape();
    const auto& [values, tokens] = given;
    const int blocks = static_cast<int>(values.shape(3));
    require(static_cast<int>(values.shape(0)) == shape.layers && values.shape(1) == 2 &&
                static_cast<int>(values.shape(2)) == shape.heads && blocks <= shape.max_blocks() &&
                static_cast<int>(values.shape(4)) == kBlockTokens * shape.head_dim && 0 < tokens &&
                tokens <= blocks * kBlockTokens,
            "an encoder's output does not have the decoder's sizes");
    return {values.data(), tokens, blocks};
}

int Decoder::blocks_needed(int length, int position, int prefix) const {
    const long long end = static_cast<long long>(position) + length;
    require(length > 0, "a piece has at least one token");
    require(0 <= position && end <= step_.shape().context_tokens, "a position is outside the context");
    require(prefix <= position || (position == 0 && prefix <= end), "a prefix must be in one piece");
    return static_cast<int>((end - 1) / kBlockTokens) + 1;
}

// A row of `pieces` is a piece: its length, first position, prefix, where its block table begins, and whether it
// wants logits.
void Decoder::run(const Read<float, 2>& embeddings, const Read<std::int32_t, 2>& pieces,
                  const Read<std::int32_t, 1>& tables, const Write<float, 2>& logits,
                  const Write<float, 2>& last_hidden, const Memories& memories) {
    const DecoderShape& shape = step_.shape();
    const int count = static_cast<int>(pieces.shape(0)), entries = static_cast<int>(tables.shape(0));
    require(0 < count && count <= kMaxPieces, "a step has 1 to 16 pieces");
    require(pieces.shape(1) == 5, "a piece has five numbers");
    std::int32_t lengths[kMaxPieces], positions[kMaxPieces], prefixes[kMaxPieces], begins[kMaxPieces];
    std::uint8_t wants[kMaxPieces];
    Memory memory[kMaxPieces];
    const bool is_cross = shape.kind == LayerKind::kCross;
    require(memories.size() == (is_cross ? static_cast<std::size_t>(count) : 0u),
            "each piece of a decoder with cross layers, and no other, has an encoder's output");
    long long rows = 0;
    int wanted = 0;
    for (int piece = 0; piece < count; ++piece) {
        const std::int32_t* numbers = pieces.data() + 5 * piece;
        lengths[piece] = numbers[0];
        positions[piece] = numbers[1];
        prefixes[piece] = numbers[2];
        begins[piece] = numbers[3];
        wants[piece] = numbers[4] != 0;
        require(!is_cross || numbers[0] == 1, "a decoder with cross layers computes one token of a sequence");
        if (is_cross) memory[piece] = memory_of(memories[piece]);
        const int blocks = blocks_needed(numbers[0], numbers[1], numbers[2]);
        require(0 <= numbers[3] && numbers[3] <= entries - blocks, "a block table is too short");
        rows += numbers[0];
        wanted += wants[piece];
    }
    require(rows <= shape.max_rows, "a step has too many tokens");
    require(static_cast<long long>(embeddings.shape(0)) == rows && static_cast<int>(logits.shape(0)) >= wanted &&
                static_cast<int>(last_hidden.shape(0)) >= wanted,
            "the arrays of a step must have a row for each token or piece");
    require(static_cast<int>(embeddings.shape(1)) == shape.hidden &&
                static_cast<int>(last_hidden.shape(1)) == shape.hidden &&
                static_cast<int>(logits.shape(1)) == shape.vocabulary,
            "the arrays of a step do not have the decoder's sizes");
    for (int entry = 0; entry < entries; ++entry)
        require(0 <= tables.data()[entry] && tables.data()[entry] < blocks_, "a block is outside the cache");
    const StepPieces step = {count, lengths, positions, prefixes, tables.data(), begins, wants, embeddings.data(),
                             logits.data(), last_hidden.data(), is_cross ? memory : nullptr};
    nb::gil_scoped_release released;
    step_.run(step);
}

void resize_array(const Read<std::uint8_t, 3>& pixels, const Write<std::uint8_t, 3>& out, bool height_first, int threads,
                  const std::string& path_name, const std::string& filter) {
    require(filter == "lanczos" || filter == "bicubic", "a filter is lanczos or bicubic");
    const KernelPath* path = choose_path(path_name.c_str());
    require(path != nullptr, "this processor does not run the path " + path_name);
    require(pixels.shape(2) == 3 && out.shape(2) == 3 && pixels.size() > 0 && out.size() > 0,
            "pictures are [height, width, 3], and not empty");
    const Picture from = {const_cast<std::uint8_t*>(pixels.data()), static_cast<int>(pixels.shape(1)),
                          static_cast<int>(pixels.shape(0))};
    const Picture to = {out.data(), static_cast<int>(out.shape(1)), static_cast<int>(out.shape(0))};
    nb::gil_scoped_release released;
    resize(from, to, height_first, threads, *path, filter == "lanczos" ? Filter::kLanczos : Filter::kBicubic);
}

void cut_patches_of(const Read<std::uint8_t, 3>& pixels, const Read<float, 2>& tables, const Write<float, 2>& out) {
    require(pixels.shape(2) == 3 && tables.shape(0) == 3 && tables.shape(1) == 256,
            "a picture is [height, width, 3], and each channel has a table of 256 values");
    const Picture picture = {const_cast<std::uint8_t*>(pixels.data()), static_cast<int>(pixels.shape(1)),
                             static_cast<int>(pixels.shape(0))};
    int patch_px = 1;
    while (static_cast<std::size_t>(3) * patch_px * patch_px < out.shape(1)) ++patch_px;
    require(static_cast<std::size_t>(3) * patch_px * patch_px == out.shape(1) && picture.height % patch_px == 0 &&
                picture.width % patch_px == 0 && out.size() == pixels.size(),
            "patches are squares that fill the picture");
    nb::gil_scoped_release released;
    cut_patches(picture, tables.data(), patch_px, out.data());
}

void multiply_code_rows(const Read<std::int8_t, 2>& codes, const Read<float, 1>& scales, const Read<float, 1>& vector,
                        const Write<float, 1>& out, const std::string& path_name) {
    const KernelPath* path = choose_path(path_name.c_str());
    require(path != nullptr, "this processor does not run the path " + path_name);
    require(codes.shape(0) == scales.shape(0) && codes.shape(0) == out.shape(0) && codes.shape(1) == vector.shape(0),
            "each row has a scale and a product, and as many codes as the vector has numbers");
    require(codes.shape(1) % kLanes == 0, "a row has a multiple of 16 codes");
    nb::gil_scoped_release released;
    path->multiply_codes(codes.data(), scales.data(), vector.data(), codes.shape(0), static_cast<int>(codes.shape(1)),
                         out.data());
}

}  // namespace

}  // namespace smallsight

NB_MODULE(smallsight_kernels, module) {
    using smallsight::Decoder;
    module.doc() = "The text decoders and picture encoders of small vision-language models in C++.";
    smallsight::add_encoder(module);
    smallsight::add_pooling(module);
    smallsight::add_map_network(module);
    nb::set_leak_warnings(false);  // a model that is open when the interpreter ends is not an error
    module.attr("INTERFACE") = 4;  // larger whenever a caller of the one before would fail
    module.attr("MAX_PIECES") = smallsight::kMaxPieces;
    module.def(
        "path_name",
        [](const std::string& wanted) {
            const smallsight::KernelPath* path = smallsight::choose_path(wanted.c_str());
            return std::string(path == nullptr ? "" : path->name);
        },
        "wanted"_a = "auto", "Return the name of the implementation for this processor, empty if it has none.");
    module.def("resize", &smallsight::resize_array, "pixels"_a, "out"_a, "height_first"_a, "threads"_a, "path"_a = "auto",
               "filter"_a = "lanczos",
               "Write a picture, uint8 [height, width, 3], to an array of another size, with Pillow's pixels of the filter\n"
               "lanczos or bicubic.");
    module.def("cut_patches", &smallsight::cut_patches_of, "pixels"_a, "tables"_a, "out"_a,
               "Write a picture, uint8 [height, width, 3], as square patches in reading order, channels first, float32\n"
               "[patches, 3 * side**2], with the values that float32 tables [3, 256] have for its bytes.");
    module.def("multiply_codes", &smallsight::multiply_code_rows, "codes"_a, "scales"_a, "vector"_a, "out"_a,
               "path"_a = "auto",
               "Write the products of rows, int8 [N, D] times float32 [N], with a vector, float32 [D], to float32 [N]. D is a\n"
               "multiple of 16.");
    nb::class_<Decoder>(module, "Decoder", "A decoder's weights, packed, and its steps.")
        .def(nb::init<int, int, int, int, int, int, int, int, float, const std::string&, const smallsight::Read<float, 1>&, int, int,
                      const std::string&>(),
             "layers"_a, "hidden"_a, "heads"_a, "kv_heads"_a, "head_dim"_a, "ffn"_a, "vocabulary"_a,
             "context_tokens"_a, "epsilon"_a, "kind"_a, "frequencies"_a, "max_rows"_a, "threads"_a,
             "path"_a = "auto")
        .def("set_layer", &Decoder::set_layer, "index"_a, "norms"_a, "matrices"_a, "biases"_a,
             "Pack a layer's matrices: query, key and value; output; gate and up, or up; down; and, of a layer with a\n"
             "cross part, its query and output.")
        .def("set_head", &Decoder::set_head, "norm"_a, "codes"_a, "scales"_a, "bias"_a, "Pack the output head.")
        .def("set_cache", &Decoder::set_cache, "index"_a, "keys"_a, "values"_a,
             "Use these arrays as a layer's KV cache, bits of bfloat16 in the order of cache_order.")
        .def("run", &Decoder::run, "embeddings"_a, "pieces"_a, "tables"_a, "logits"_a, "last_hidden"_a,
             "memories"_a = smallsight::Memories(),
             "Compute the pieces' logits and store their keys and values. A piece is its length, first position,\n"
             "prefix, where its block table begins, and whether it wants logits. `memories` are each piece's encoder\n"
             "output, [layers, 2, heads, blocks, 32 * head_dim] in the order of the cache, and its tokens.")
        .def("take_seconds", &Decoder::take_seconds,
             "Return the seconds spent in norms, products, attention, joining and the head since the last call.")
        .def_prop_ro("path", &Decoder::path, "The implementation's name.")
        .def_prop_ro("weight_bytes", &Decoder::weight_bytes, "Bytes of the packed weights.");
}
