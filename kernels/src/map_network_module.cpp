#include "map_network_module.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "amx_support.hpp"
#if defined(SMALLSIGHT_AMX)
#include "map_network.hpp"
#endif

namespace nb = nanobind;
using namespace nb::literals;

namespace smallsight {

namespace {

std::string obstacle() {
#if defined(SMALLSIGHT_AMX)
    return amx_obstacle();
#else
    return "this build has no code for AMX tiles";
#endif
}

#if defined(SMALLSIGHT_AMX)
using Vector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Filters = nb::ndarray<const float, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using Pixels = nb::ndarray<const std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Levels = nb::ndarray<std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Strides = std::array<int, 2>;

constexpr int kMostChannels = 1024;

void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

Activation activation_named(const std::string& name) {
    if (name == "none") return Activation::kNone;
    if (name == "relu") return Activation::kRelu;
    if (name == "gelu") return Activation::kGelu;
    require(name == "levels", "an activation must be none, relu, gelu or levels");
    return Activation::kLevels;
}

class MapNetworkModule {
   public:
    explicit MapNetworkModule(int threads) : network_(checked(threads)) {}
    MapNetworkModule(const MapNetworkModule& other, int threads) : network_(other.network_, threads) {}

    MapNetworkModule* twin(int threads) const { return new MapNetworkModule(*this, threads); }

    int add_layer(const std::vector<int>& sources, const Filters& weights, const Vector& bias,
                  const std::vector<int>& strides, const std::vector<int>& pads, const std::string& activation) {
        const LayerShape shape = shape_of(weights, strides, pads);
        int channels = 0;
        for (const int source : sources) channels += channels_of(source);
        require(channels == shape.inputs && size_of(bias) == shape.outputs, "a layer's sizes do not fit");
        return network_.add_layer(sources, shape, weights.data(), bias.data(), activation_named(activation));
    }

    int add_depthwise(int source, const Filters& weights, const Vector& bias, const std::vector<int>& strides,
                      const std::vector<int>& pads) {
        const LayerShape shape = shape_of(weights, strides, pads);
        require(shape.inputs == 1 && channels_of(source) == shape.outputs && size_of(bias) == shape.outputs,
                "a filter's sizes do not fit");
        require((shape.columns == 3 && shape.stride_x <= 2) || (shape.columns == 7 && shape.stride_x == 1),
                "filters are 3 wide with a stride of 1 or 2, or 7 wide with a stride of 1");
        return network_.add_depthwise(source, shape, weights.data(), bias.data());
    }

    int add_scale(int source, const Matrix& narrow, const Vector& narrow_bias, const Matrix& widen,
                  const Vector& widen_bias, float slope, float offset, bool adds_one) {
        const int hidden = rows_of(narrow), channels = channels_of(source);
        require(columns_of(narrow) == channels && rows_of(widen) == channels && columns_of(widen) == hidden &&
                    size_of(narrow_bias) == hidden && size_of(widen_bias) == channels,
                "a scale's sizes do not fit");
        return network_.add_scale(source, hidden, narrow.data(), narrow_bias.data(), widen.data(), widen_bias.data(),
                                  slope, offset, adds_one);
    }

    int add_mixing(int source, const Matrix& first, const Vector& first_bias, const Matrix& second,
                   const Vector& second_bias, const std::string& inner, bool adds_source, const std::string& outer) {
        const int hidden = rows_of(first), outputs = rows_of(second);
        require(columns_of(first) == channels_of(source) && columns_of(second) == hidden &&
                    size_of(first_bias) == hidden && size_of(second_bias) == outputs,
                "the sizes of two layers do not fit");
        require(hidden <= kMostChannels && channels_of(source) <= kMostChannels / 2, "a layer is too large");
        require(!adds_source || outputs == channels_of(source), "only a layer of the same size adds its input");
        const Activation inside = activation_named(inner), outside = activation_named(outer);
        require(inside == Activation::kGelu || inside == Activation::kRelu, "between two layers is gelu or relu");
        require(outside == Activation::kNone || (outside == Activation::kLevels && outputs <= 16 && !adds_source),
                "after two layers come up to 16 levels, or nothing");
        return network_.add_mixing(source, hidden, outputs, first.data(), first_bias.data(), second.data(),
                                   second_bias.data(), inside, adds_source, outside);
    }

    int add_largest(int source, int side) {
        channels_of(source);
        require(side == 2, "only squares of 2 x 2 are known");
        return network_.add_largest(source, side);
    }

    int add_enlarged(int source, int factor) {
        channels_of(source);
        require(factor >= 1, "a factor is at least 1");
        return network_.add_enlarged(source, factor);
    }

    int add_sum(int source, int smaller, int factor) {
        require(channels_of(source) == channels_of(smaller) && factor >= 1, "a sum's sizes do not fit");
        return network_.add_sum(source, smaller, factor);
    }

    void keep(int map) {
        channels_of(map);
        network_.keep(map);
    }

    void run(const Pixels& pixels) {
        require(pixels.shape(2) == 3 && pixels.size() > 0, "a picture is [height, width, 3]");
        nb::gil_scoped_release released;
        network_.run(pixels.data(), static_cast<int>(pixels.shape(0)), static_cast<int>(pixels.shape(1)));
    }

    nb::tuple size(int map) const {
        channels_of(map);
        return nb::make_tuple(network_.map(map).size.height, network_.map(map).size.width, channels_of(map));
    }

    void read(int map, const Floats& out) const {
        const Map& from = kept(map, out.shape(0), out.shape(1), out.shape(2));
        require(from.channels % 16 == 0, "only maps with a multiple of 16 channels are read");
        float* to = out.data();
        for (int y = 0; y < from.size.height; ++y)
            for (int x = 0; x < from.size.width; ++x, to += from.channels) as_floats(from.at(y, x), to, from.channels);
    }

    void read_levels(int map, const Levels& out) const {
        const Map& from = kept(map, out.shape(0), out.shape(1), out.shape(2));
        std::uint8_t* to = out.data();
        for (int y = 0; y < from.size.height; ++y)
            for (int x = 0; x < from.size.width; ++x)
                for (int channel = 0; channel < from.channels; ++channel)
                    *to++ = static_cast<std::uint8_t>(from.at(y, x)[channel]);
    }

    std::size_t weight_bytes() const { return network_.weight_bytes(); }
    std::size_t map_bytes() const { return network_.map_bytes(); }

   private:
    static int checked(int threads) {
        if (!obstacle().empty()) throw std::runtime_error(obstacle());
        return threads;
    }

    static int size_of(const Vector& values) { return static_cast<int>(values.shape(0)); }
    static int rows_of(const Matrix& values) { return static_cast<int>(values.shape(0)); }
    static int columns_of(const Matrix& values) { return static_cast<int>(values.shape(1)); }

    int channels_of(int map) const {
        require(0 <= map && map < network_.num_maps(), "there is no such map");
        return network_.channels_of(map);
    }

    static LayerShape shape_of(const Filters& weights, const std::vector<int>& strides, const std::vector<int>& pads) {
        require(strides.size() == 2 && pads.size() == 4, "a layer has two strides and four pads");
        LayerShape shape;
        shape.outputs = static_cast<int>(weights.shape(0));
        shape.inputs = static_cast<int>(weights.shape(1));
        shape.rows = static_cast<int>(weights.shape(2));
        shape.columns = static_cast<int>(weights.shape(3));
        shape.stride_y = strides[0];
        shape.stride_x = strides[1];
        shape.pad_top = pads[0];
        shape.pad_left = pads[1];
        shape.pad_bottom = pads[2];
        shape.pad_right = pads[3];
        require(shape.stride_y >= 1 && shape.stride_x >= 1, "a stride is at least 1");
        for (const int pad : pads) require(0 <= pad && pad < 8, "a pad is 0 to 7");
        require(0 < shape.outputs && shape.outputs <= kMostChannels && shape.rows > 0 && shape.columns > 0 &&
                    shape.rows < 8 && shape.columns < 8,
                "a layer is too large");
        return shape;
    }

    const Map& kept(int map, std::size_t height, std::size_t width, std::size_t channels) const {
        require(static_cast<int>(channels) == channels_of(map), "a map is read with all of its channels");
        const Map& from = network_.map(map);
        require(from.origin != nullptr && static_cast<int>(height) == from.size.height &&
                    static_cast<int>(width) == from.size.width,
                "a map is read in its size, after a run");
        return from;
    }

    MapNetwork network_;
};
#endif

}  // namespace

void add_map_network(nb::module_& module) {
    module.def("map_network_obstacle", obstacle, "Return why MapNetwork cannot be used here, empty if it can.");
#if defined(SMALLSIGHT_AMX)
    nb::class_<MapNetworkModule>(module, "MapNetwork", "Convolutions over a picture, in bfloat16 with AMX.")
        .def(nb::init<int>(), "threads"_a)
        .def("add_layer", &MapNetworkModule::add_layer, "sources"_a, "weights"_a, "bias"_a, "strides"_a, "pads"_a,
             "activation"_a, "Add a layer, weights [outputs, inputs, rows, columns], over maps side by side.")
        .def("add_depthwise", &MapNetworkModule::add_depthwise, "source"_a, "weights"_a, "bias"_a, "strides"_a,
             "pads"_a, "Add a filter for each channel, weights [channels, 1, rows, columns].")
        .def("add_scale", &MapNetworkModule::add_scale, "source"_a, "narrow"_a, "narrow_bias"_a, "widen"_a,
             "widen_bias"_a, "slope"_a, "offset"_a, "adds_one"_a,
             "Scale channels by what two layers and a hard sigmoid make of their means.")
        .def("add_mixing", &MapNetworkModule::add_mixing, "source"_a, "first"_a, "first_bias"_a, "second"_a,
             "second_bias"_a, "inner"_a, "adds_source"_a, "outer"_a, "Add two layers over single pixels.")
        .def("add_largest", &MapNetworkModule::add_largest, "source"_a, "side"_a)
        .def("add_enlarged", &MapNetworkModule::add_enlarged, "source"_a, "factor"_a)
        .def("add_sum", &MapNetworkModule::add_sum, "source"_a, "smaller"_a, "factor"_a)
        .def("keep", &MapNetworkModule::keep, "map"_a, "Let a map be read after a run.")
        .def("twin", &MapNetworkModule::twin, "threads"_a, nb::rv_policy::take_ownership,
             "Return a network with the same weights that may run at the same time.")
        .def("run", &MapNetworkModule::run, "pixels"_a, "Compute all maps of a picture, uint8 RGB [height, width, 3].")
        .def("size", &MapNetworkModule::size, "map"_a, "Return a map's height, width and channels.")
        .def("read", &MapNetworkModule::read, "map"_a, "out"_a, "Write a kept map to float32 [height, width, channels].")
        .def("read_levels", &MapNetworkModule::read_levels, "map"_a, "out"_a,
             "Write a kept map of levels to uint8 [height, width, channels].")
        .def_prop_ro("weight_bytes", &MapNetworkModule::weight_bytes)
        .def_prop_ro("map_bytes", &MapNetworkModule::map_bytes, "Memory of the maps since the largest picture.");
#endif
}

}  // namespace smallsight
