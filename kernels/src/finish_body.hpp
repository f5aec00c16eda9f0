// What is done with a product's outputs, over a type `Lanes` of 16 floats; included like path_body.hpp, before it.

// Returns e**x for x up to 88, and a number next to 0 below -87; relative error about 2e-7.
inline Lanes exponential(Lanes x) {
    const Lanes clamped = x.max(Lanes::all(-87.0f));
    const Lanes powers = clamped.times(Lanes::all(1.44269504f)).rounded();
    Lanes rest = powers.times_plus(Lanes::all(-0.693359375f), clamped);
    rest = powers.times_plus(Lanes::all(2.12194440e-4f), rest);
    Lanes sum = Lanes::all(1.9875691500e-4f);
    sum = sum.times_plus(rest, Lanes::all(1.3981999507e-3f));
    sum = sum.times_plus(rest, Lanes::all(8.3334519073e-3f));
    sum = sum.times_plus(rest, Lanes::all(4.1665795894e-2f));
    sum = sum.times_plus(rest, Lanes::all(1.6666665459e-1f));
    sum = sum.times_plus(rest, Lanes::all(5.0000001201e-1f));
    sum = sum.times_plus(rest.times(rest), rest.plus(Lanes::all(1.0f)));
    return sum.scaled_by_power(powers);
}

// Returns value * sigmoid(x).
inline Lanes over_decay(Lanes value, Lanes x) {
    const Lanes decay = exponential(Lanes::all(0.0f).minus(x.max(Lanes::all(-80.0f)))).plus(Lanes::all(1.0f));
    return value.over(decay);
}

// The approximation of GELU with tanh, which is a sigmoid.
inline Lanes gelu(Lanes x) {
    const Lanes cubic = x.times(x).times_plus(Lanes::all(0.0713548162726f), Lanes::all(1.59576912161f));
    return over_decay(x, x.times(cubic));
}

// GELU with the normal distribution, whose upper tail is a polynomial times e**(-x*x/2) (Abramowitz and Stegun, 7.1.26:
// errors of the distribution up to 1e-7).
inline Lanes exact_gelu(Lanes x) {
    const Lanes size = x.max(Lanes::all(0.0f).minus(x));
    const Lanes decay = exponential(Lanes::all(-0.5f).times(size.times(size)));
    const Lanes near = Lanes::all(1.0f).over(size.times_plus(Lanes::all(0.231641888f), Lanes::all(1.0f)));
    Lanes sum = Lanes::all(0.5307027147f);
    sum = sum.times_plus(near, Lanes::all(-0.7265760137f));
    sum = sum.times_plus(near, Lanes::all(0.7107068707f));
    sum = sum.times_plus(near, Lanes::all(-0.1422483681f));
    sum = sum.times_plus(near, Lanes::all(0.1274147959f));
    const Lanes tail = sum.times(near).times(decay);
    return x.max(Lanes::all(0.0f)).minus(size.times(tail));
}

// Writes one block of a row's outputs, or of gates and the values they belong to.
inline void finish(Lanes first, Lanes second, int block, int row, const ProductTarget& target) {
    const bool is_gated = target.epilogue == Epilogue::kGate;
    const int at = (is_gated ? block / 2 : block) * kLanes;
    float* out = target.values + row * target.stride + at;
    Lanes result = first;
    if (target.bias != nullptr) result = result.plus(Lanes::load(target.bias + at));
    if (is_gated) result = over_decay(first, first).times(second);
    if (target.epilogue == Epilogue::kGelu) result = gelu(result);
    if (target.epilogue == Epilogue::kExactGelu) result = exact_gelu(result);
    if (at + kLanes <= target.width) {
        if (target.epilogue == Epilogue::kAdd) result = result.plus(Lanes::load(out));
        result.store(out);
        return;
    }
    float whole[kLanes];
    result.store(whole);
    for (int lane = 0; at + lane < target.width; ++lane)
        out[lane] = target.epilogue == Epilogue::kAdd ? whole[lane] + out[lane] : whole[lane];
}
