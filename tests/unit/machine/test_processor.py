"""Names and instruction sets, read from what kernels of several processors print."""

from __future__ import annotations

import pytest

from smallsight.machine.processor import (
    Processor,
    from_cpuinfo,
    from_sysctl,
    processor,
    usable_instruction_sets,
)

ZEN_5 = """\
processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 26
model		: 2
model name	: AMD EPYC 9755 128-Core Processor
flags		: fpu vme sse sse2 ht syscall nx lm pni ssse3 fma cx16 sse4_1 sse4_2 x2apic avx f16c rdrand avx2 \
bmi2 avx512f avx512dq rdseed avx512ifma avx512cd sha_ni avx512bw avx512vl avx_vnni avx512_bf16 avx512vbmi \
gfni vaes avx512_vnni avx512_bitalg avx512_vpopcntdq movdiri avx512_vp2intersect
bugs		: sysret_ss_attrs spectre_v1

processor	: 1
model name	: another
flags		: fpu
"""
SAPPHIRE_RAPIDS = """\
processor	: 0
vendor_id	: GenuineIntel
model name	: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags		: fpu vme sse2 ssse3 fma sse4_1 sse4_2 avx f16c avx2 avx512f avx512dq avx512cd avx512bw avx512vl \
avx_vnni avx512_bf16 avx512vbmi avx512_vnni amx_bf16 avx512_fp16 amx_tile amx_int8 arch_capabilities
"""
ONLY_AVX2 = """\
processor	: 0
vendor_id	: AuthenticAMD
model name	: AMD EPYC
flags		: fpu sse sse2 ssse3 fma sse4_1 sse4_2 avx f16c bmi1 avx2 bmi2 vaes vpclmulqdq
"""
GRAVITON_3 = """\
processor	: 0
BogoMIPS	: 2100.00
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp asimddp sve i8mm bf16 dgh rng
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x1
CPU part	: 0xd40
CPU revision	: 1
"""
M2 = """\
machdep.cpu.cores_per_package: 8
machdep.cpu.brand_string: Apple M2
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_SME: 0
hw.optional.AdvSIMD: 1
"""
INTEL_MAC = """\
machdep.cpu.features: FPU VME SSE SSE2 SSSE3 FMA SSE4.1 SSE4.2 AVX1.0
machdep.cpu.leaf7_features: BMI1 AVX2 AVX512F AVX512BW AVX512VNNI
machdep.cpu.brand_string: Intel(R) Core(TM) i7-1068NG7 CPU @ 2.30GHz
hw.optional.avx2_0: 1
hw.optional.avx512f: 1
"""
AVX512 = ("sse4_2", "avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ZEN_5, Processor("AMD EPYC 9755 128-Core Processor", AVX512)),
        (
            SAPPHIRE_RAPIDS,
            Processor(
                "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
                (*AVX512, "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
            ),
        ),
        (ONLY_AVX2, Processor("AMD EPYC", ("sse4_2", "avx2", "fma"))),
        (GRAVITON_3, Processor("ARM Neoverse V1", ("neon", "dotprod", "i8mm", "bf16", "sve"))),
    ],
    ids=["zen-5", "sapphire-rapids", "avx2", "graviton-3"],
)
def test_what_linux_prints(text, expected):
    assert from_cpuinfo(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (M2, Processor("Apple M2", ("neon", "dotprod", "i8mm", "bf16"))),
        (
            INTEL_MAC,
            Processor(
                "Intel(R) Core(TM) i7-1068NG7 CPU @ 2.30GHz",
                ("sse4_2", "avx2", "fma", "avx512f", "avx512bw", "avx512_vnni"),
            ),
        ),
    ],
    ids=["m2", "intel"],
)
def test_what_macos_prints(text, expected):
    assert from_sysctl(text) == expected


def test_an_arm_processor_that_is_not_known_shows_its_numbers():
    text = "Features : asimd\nCPU implementer : 0x46\nCPU part : 0x001\n"
    assert from_cpuinfo(text) == Processor("ARM implementer 0x46 part 0x1", ("neon",))


@pytest.mark.parametrize("read", [from_cpuinfo, from_sysctl])
@pytest.mark.parametrize("text", ["", "nonsense", "CPU implementer: x\nCPU part: y"])
def test_a_text_that_says_nothing_gives_a_name_and_no_instruction_sets(read, text):
    found = read(text)
    assert found.name
    assert found.instruction_sets == ()
    assert str(found) == f"{found.name} (instruction sets not reported)"


def test_this_machine_has_a_name_and_is_asked_once():
    assert processor().name
    assert processor() is processor()
    assert processor().name in str(processor())


@pytest.mark.parametrize(
    ("limit", "last"),
    [
        ("avx2", "fma"),
        ("AVX2_VNNI", "avx_vnni"),
        ("AVX512_CORE", "avx512bw"),
        ("AVX512_CORE_VNNI", "avx512_vnni"),
        ("AVX512_CORE_BF16", "avx512_bf16"),
        ("AVX512_CORE_FP16", "avx512_fp16"),
        ("ALL", "amx_bf16"),
        ("unheard of", "amx_bf16"),
    ],
)
def test_what_the_runtimes_switch_forbids_is_not_usable(limit, last, monkeypatch):
    """A measurement belongs to the instruction sets that the runtime may use, not to those that there are."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert usable_instruction_sets(from_cpuinfo(SAPPHIRE_RAPIDS))[-1] == last


def test_without_the_switch_all_is_usable(monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert usable_instruction_sets() == processor().instruction_sets
