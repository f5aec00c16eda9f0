// Products in AMX tiles: 32 rows and 32 outputs at a time, two by two tiles of sums.
//
// Included inside an unnamed namespace, after amx_instructions.hpp and encoder_path.hpp.

#define TILE_LOAD(tile, from) AMX_LOAD(tile, from, 64L)
#define TILE_STREAM(tile, from) AMX_STREAM(tile, from, 64L)
#define TILE_STORE(tile, to) AMX_STORE(tile, to, 64L)
#define TILE_ZERO(tile) AMX_ZERO(tile)
#define TILE_INT8(sum, rows, outputs) AMX_INT8(sum, rows, outputs)
#define TILE_BF16(sum, rows, outputs) AMX_BF16(sum, rows, outputs)

constexpr unsigned kTileValues = 256;

// Sums of a product of 32 rows and 32 outputs: two tiles of the upper rows, then two of the lower ones.
union Sums {
    alignas(64) std::int32_t whole[4 * kTileValues];
    float real[4 * kTileValues];
};

// Where a row's first 16 sums are; the others are a tile further.
inline unsigned sums_of(unsigned row) { return row / 16 * 2 * kTileValues + row % 16 * 16; }

template <bool kIsHalf>
inline void load_step(const std::uint8_t* rows, const std::uint8_t* outputs) {
    TILE_LOAD(4, rows);
    TILE_STREAM(6, outputs);
    if (!kIsHalf) TILE_LOAD(5, rows + kTileBytes);
    TILE_STREAM(7, outputs + kTileBytes);
}

#define TILE_PRODUCT(sum, rows, outputs)      \
    if constexpr (kNumber == Number::kInt8) { \
        TILE_INT8(sum, rows, outputs);        \
    } else {                                  \
        TILE_BF16(sum, rows, outputs);        \
    }

// Adds one tile's products of 32 rows, or of the first 16, and 32 outputs; `between(part)` is called after each of four,
// to be computed meanwhile.
template <Number kNumber, bool kIsHalf = false, typename Between>
inline void add_step(const std::uint8_t* rows, const std::uint8_t* outputs, Between&& between) {
    load_step<kIsHalf>(rows, outputs);
    TILE_PRODUCT(0, 4, 6)
    between(0);
    TILE_PRODUCT(1, 4, 7)
    between(1);
    if constexpr (kIsHalf) return;
    TILE_PRODUCT(2, 5, 6)
    between(2);
    TILE_PRODUCT(3, 5, 7)
    between(3);
}

// Begins new sums. Those before are stored meanwhile: the tile unit would wait for stores after their last product.
template <Number kNumber, bool kIsHalf = false, typename Between>
inline void begin_sums(const std::uint8_t* rows, const std::uint8_t* outputs, Sums& before, Between&& between) {
    load_step<kIsHalf>(rows, outputs);
    TILE_STORE(0, before.whole);
    TILE_ZERO(0);
    TILE_PRODUCT(0, 4, 6)
    between(0);
    TILE_STORE(1, before.whole + kTileValues);
    TILE_ZERO(1);
    TILE_PRODUCT(1, 4, 7)
    between(1);
    if constexpr (kIsHalf) return;
    TILE_STORE(2, before.whole + 2 * kTileValues);
    TILE_ZERO(2);
    TILE_PRODUCT(2, 5, 6)
    between(2);
    TILE_STORE(3, before.whole + 3 * kTileValues);
    TILE_ZERO(3);
    TILE_PRODUCT(3, 5, 7)
    between(3);
}

inline void clear_sums() {
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
}

inline void load_sums(const Sums& from) {
    TILE_LOAD(0, from.whole);
    TILE_LOAD(1, from.whole + kTileValues);
    TILE_LOAD(2, from.whole + 2 * kTileValues);
    TILE_LOAD(3, from.whole + 3 * kTileValues);
}

inline void store_sums(Sums& to) {
    TILE_STORE(0, to.whole);
    TILE_STORE(1, to.whole + kTileValues);
    TILE_STORE(2, to.whole + 2 * kTileValues);
    TILE_STORE(3, to.whole + 3 * kTileValues);
}

constexpr auto kNothing = [](int) {};
