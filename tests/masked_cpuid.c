/* Preloaded: answers CPUID as a processor with AVX-512 and without VNNI does (Skylake-SP), on a newer one.
 *
 * arch_prctl(ARCH_CPUID, 0) makes the instruction fail in this thread and in those it starts, and exec undoes
 * it, so every program that is started with this library asks for it again. The answers are collected before,
 * so that nothing is left to ask of the system in a sandbox. Instructions themselves stay: code that uses VNNI
 * without asking is not noticed. SMALLSIGHT_MASKED_CPUINFO names the file to show in place of /proc/cpuinfo.
 * Other handlers of SIGSEGV are called for other failures only. The handler runs on the stack of its thread:
 * an alternative one may be too small for the registers of AVX-512.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { FAULT_ON_CPUID = 0x1012, LEAVES = 0x28, SUBLEAVES = 40 };

typedef struct {
    unsigned a, b, c, d;
} Answer;

static Answer answers[3][LEAVES][SUBLEAVES];
static const unsigned begins[3] = {0, 0x40000000u, 0x80000000u};
static const char brand[48] = "Xeon with AVX-512, without VNNI (masked)";
static struct sigaction theirs;
static int is_masked;

/* Whether ECX matters to what a leaf answers. */
static int has_parts(unsigned leaf) {
    return leaf == 4 || leaf == 7 || (leaf >= 0xb && leaf < LEAVES && leaf != 0x15 && leaf != 0x16);
}

static unsigned without(unsigned value, const int* bits) {
    for (; *bits >= 0; ++bits) value &= ~(1u << *bits);
    return value;
}

static void mask(void) {
    static const int ifma_sha[] = {21, 29, -1};
    static const int vbmi_to_vnni[] = {1, 6, 8, 9, 10, 11, 12, 14, 22, -1}; /* ..., VNNI 11, ..., RDPID */
    static const int amx_fp16[] = {5, 8, 14, 16, 22, 23, 24, 25, -1};
    static const int amx_state[] = {17, 18, -1};
    Answer(*basic)[SUBLEAVES] = answers[0];
    basic[1][0].a = 0x50654; /* family 6, model 85 */
    basic[7][0].a = 0;       /* no further part: AVX-VNNI, BF16 */
    basic[7][0].b = without(basic[7][0].b, ifma_sha);
    basic[7][0].c = without(basic[7][0].c, vbmi_to_vnni);
    basic[7][0].d = without(basic[7][0].d, amx_fp16);
    memset(&basic[7][1], 0, (SUBLEAVES - 1) * sizeof(Answer));
    basic[13][0].a = without(basic[13][0].a, amx_state);
    memset(&basic[13][17], 0, 2 * sizeof(Answer));
    memset(basic[0x1d], 0, sizeof basic[0x1d]);
    memset(basic[0x1e], 0, sizeof basic[0x1e]);
    for (int i = 0; i < 3; ++i) memcpy(&answers[2][2 + i][0], brand + 16 * i, 16);
}

static void answer(int signal, siginfo_t* info, void* context) {
    greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    const unsigned char* code = (const unsigned char*)registers[REG_RIP];
    if (info->si_code == SI_KERNEL && code[0] == 0x0f && code[1] == 0xa2) {
        const unsigned leaf = (unsigned)registers[REG_RAX], part = has_parts(leaf) ? (unsigned)registers[REG_RCX] : 0;
        Answer found = {0, 0, 0, 0};
        for (int i = 0; i < 3; ++i)
            if (leaf >= begins[i] && leaf - begins[i] < LEAVES && part < SUBLEAVES)
                found = answers[i][leaf - begins[i]][part];
        registers[REG_RAX] = found.a, registers[REG_RBX] = found.b;
        registers[REG_RCX] = found.c, registers[REG_RDX] = found.d;
        registers[REG_RIP] += 2;
    } else if (theirs.sa_flags & SA_SIGINFO) {
        theirs.sa_sigaction(signal, info, context);
    } else if (theirs.sa_handler != SIG_DFL && theirs.sa_handler != SIG_IGN) {
        theirs.sa_handler(signal);
    } else {
        const struct sigaction usual = {.sa_handler = SIG_DFL};
        int (*real)(int, const struct sigaction*, struct sigaction*) = dlsym(RTLD_NEXT, "sigaction");
        real(SIGSEGV, &usual, NULL); /* the instruction fails again */
    }
}

__attribute__((constructor)) static void begin(void) {
    const struct sigaction ours = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    int (*real)(int, const struct sigaction*, struct sigaction*) = dlsym(RTLD_NEXT, "sigaction");
    for (unsigned i = 0; i < 3; ++i)
        for (unsigned leaf = 0; leaf < LEAVES; ++leaf)
            for (unsigned part = 0; part < SUBLEAVES; ++part) {
                Answer* one = &answers[i][leaf][part];
                __cpuid_count(begins[i] + leaf, part, one->a, one->b, one->c, one->d);
            }
    mask();
    real(SIGSEGV, &ours, &theirs);
    is_masked = syscall(SYS_arch_prctl, FAULT_ON_CPUID, 0) == 0;
    if (!is_masked) {
        static const char failed[] = "this processor or kernel cannot refuse CPUID\n";
        if (write(2, failed, sizeof failed - 1)) _exit(70);
    }
}

int sigaction(int number, const struct sigaction* wanted, struct sigaction* former) {
    int (*real)(int, const struct sigaction*, struct sigaction*) = dlsym(RTLD_NEXT, "sigaction");
    if (number != SIGSEGV || !is_masked) return real(number, wanted, former);
    const struct sigaction before = theirs;
    if (wanted) theirs = *wanted;
    if (former) *former = before;
    return 0;
}

sighandler_t signal(int number, sighandler_t handler) {
    sighandler_t (*real)(int, sighandler_t) = dlsym(RTLD_NEXT, "signal");
    if (number != SIGSEGV || !is_masked) return real(number, handler);
    const sighandler_t before = theirs.sa_handler;
    theirs = (struct sigaction){.sa_handler = handler};
    return before;
}

static int change_mask(const char* name, int how, const sigset_t* wanted, sigset_t* former) {
    int (*real)(int, const sigset_t*, sigset_t*) = dlsym(RTLD_NEXT, name);
    if (!wanted || how == SIG_UNBLOCK) return real(how, wanted, former);
    sigset_t kept = *wanted;
    sigdelset(&kept, SIGSEGV); /* a blocked one ends the process */
    return real(how, &kept, former);
}

int pthread_sigmask(int how, const sigset_t* wanted, sigset_t* former) {
    return change_mask("pthread_sigmask", how, wanted, former);
}

int sigprocmask(int how, const sigset_t* wanted, sigset_t* former) {
    return change_mask("sigprocmask", how, wanted, former);
}

static const char* shown(const char* path) {
    const char* other = getenv("SMALLSIGHT_MASKED_CPUINFO");
    return path && other && strcmp(path, "/proc/cpuinfo") == 0 ? other : path;
}

#define OPEN(name)                                                                       \
    int name(const char* path, int flags, ...) {                                         \
        va_list rest;                                                                    \
        va_start(rest, flags);                                                           \
        const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;    \
        va_end(rest);                                                                    \
        int (*real)(const char*, int, ...) = dlsym(RTLD_NEXT, #name);                    \
        return real(shown(path), flags, mode);                                           \
    }
#define FOPEN(name)                                                                      \
    FILE* name(const char* path, const char* mode) {                                     \
        FILE* (*real)(const char*, const char*) = dlsym(RTLD_NEXT, #name);               \
        return real(shown(path), mode);                                                  \
    }
OPEN(open)
OPEN(open64)
FOPEN(fopen)
FOPEN(fopen64)
