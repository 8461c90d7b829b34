/* check_threads.c: the same bits every time: 100 steps of training give the same bytes (losses, weights, moments,
 * checkpoint, a picture), in one go or resumed, on any number of threads, wherever buffers lie and whatever lay
 * in them, in every environment, at every instruction-set level.
 *
 * The first run of a setup at a level is the reference, on one thread; every other must equal it byte for
 * byte. Levels differ among each other. The comparison is put to the test by an operation that is broken in one
 * way after another. Single operations: check_operations.c. Read next: tests/support/training.h.
 */
#define _POSIX_C_SOURCE 200809L /* posix_spawn */
#include "tests/support/check.h"

#include <errno.h>
#include <fenv.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "autograd/compose.h"
#include "tensor/kernels/kernels.h"
#include "tensor/mem.h"
#include "tensor/parallel.h"
#include "tests/support/shifted.h"
#include "tests/support/training.h"

static bool full;
static char *program;
static int runs, levels;
enum { STEPS = SANITIZED ? 12 : 100 };

/* --- what is computed ---------------------------------------------------------------------------- */

/* Large enough to be cut into chunks, and no size divides evenly; the last batch is a ragged one. */
#define SIZES(w, h, z, n, b) .width = w, .hidden = h, .latent = z, .examples = n, .batch = b
static const setup setups[] = {
    {"vae f32 adam", &tp_model_vae, TP_BERNOULLI, TP_F32, ADAM, SIZES(600, 41, 5, 150, 64)},
    {"ae f64 momentum", &tp_model_ae, TP_BERNOULLI, TP_F64, MOMENTUM, SIZES(301, 23, 3, 119, 59)},
    {"vae f64 adam", &tp_model_vae, TP_BERNOULLI, TP_F64, ADAM, SIZES(600, 41, 5, 150, 64)},
    {"vae f32 momentum", &tp_model_vae, TP_BERNOULLI, TP_F32, MOMENTUM, SIZES(529, 37, 7, 97, 65)},
    {"gaussian vae f32 adam", &tp_model_vae, TP_GAUSSIAN, TP_F32, ADAM, SIZES(601, 33, 2, 130, 67)},
    {"ae f32 sgd", &tp_model_ae, TP_BERNOULLI, TP_F32, SGD, SIZES(784, 64, 16, 100, 33)},
    {"gaussian ae f64 sgd", &tp_model_ae, TP_GAUSSIAN, TP_F64, SGD, SIZES(257, 65, 9, 70, 70)},
    {"small vae f32 adam", &tp_model_vae, TP_BERNOULLI, TP_F32, ADAM, SIZES(30, 20, 4, 21, 8)},
    {"single rows", &tp_model_vae, TP_BERNOULLI, TP_F64, ADAM, SIZES(17, 5, 1, 9, 1)},
    {"vae-400 f32 adam", &tp_model_vae, TP_BERNOULLI, TP_F32, ADAM, SIZES(784, 400, 20, 300, 128)},
};
enum { SETUPS = sizeof setups / sizeof *setups, SHORT_SETUPS = 2, LARGEST = SETUPS - 1 };

/* Models with what those above have not: codes that are counted in buffers, an adversary, noise in classes, flows that
 * carry a density along, a mixture over stored pictures. */
static const setup kinds[] = {
    {"vq", &tp_model_vq_vae, TP_BERNOULLI, TP_F32, ADAM, SIZES(301, 23, 4, 70, 33), .steps = 12},
    {"factor", &tp_model_factor_vae, TP_BERNOULLI, TP_F32, ADAM, SIZES(301, 23, 4, 70, 33),
     .steps = 12},
    {"gumbel", &tp_model_gumbel_vae, TP_BERNOULLI, TP_F64, ADAM, SIZES(301, 23, 4, 70, 33),
     .steps = 12},
    {"planar", &tp_model_planar_vae, TP_GAUSSIAN_LEARNED, TP_F32, SGD, SIZES(301, 23, 4, 70, 33),
     .steps = 12},
    {"vamp", &tp_model_vamp_vae, TP_CATEGORICAL, TP_F32, ADAM, SIZES(101, 23, 4, 70, 33),
     .steps = 12},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* --- and how, which must not matter --------------------------------------------------------------- */

typedef struct way {
    const char *name;
    manner how;
    shifted memory;
    bool brief; /* part of the short form */
} way;

static const manner on_one = {.threads = 1};
static const way ways[] = {
    {"again", {1}, {0}, false},
    {"2 threads", {2}, {0}, false},
    {"3 threads", {3}, {0}, false},
    {"4 threads", {4}, {0}, false},
    {"8 threads", {8}, {0}, false},
    {"buffers 64 bytes later", {1}, {.shift = 64}, false},
    {"buffers 128 bytes later", {1}, {.shift = 128}, false},
    {"buffers 64 bytes before a page", {1}, {.shift = 4096 - 64}, false},
    {"buffers anywhere", {1}, {.shift = SHIFT_ANY}, false},
    {"buffers the other way round", {1}, {.falling = true}, false},
    {"noise in fresh memory", {1}, {.fill = FILL_NOISE}, false},
    {"a tape used before", {1, .used_tape = true}, {0}, false},
    {"data out of a larger array", {1, .offset_data = true}, {0}, false},
    {"the trap", {1, .trap = true}, {0}, false},
    {"recomputed", {1, .recompute = true}, {0}, false},
    {"3, then 8 threads", {3, .later = 8}, {0}, false},
    {"8 threads, then 1", {8, .later = 1}, {0}, false},
    {"resumed", {1, .resumed = true}, {0}, false},
    {"resumed, 8 threads, then 3", {8, 3, .resumed = true}, {0}, false},
    {"2 threads, buffers shifted, trap", {2, .trap = true}, {64, false, FILL_NOISE}, true},
    {"4, then 3 threads, recomputed", {4, 3, .recompute = true}, {128, true, FILL_NAN}, true},
    {"resumed, 1, then 8 threads, all else different",
     {1, 8, true, true, true, true, true},
     {SHIFT_ANY, true, FILL_NOISE},
     true},
};
enum { WAYS = sizeof ways / sizeof *ways };

static void run_way(const setup *s, const manner *how, shifted memory, record *out)
{
    setup whole = *s;
    if (whole.steps == 0)
        whole.steps = STEPS;
    assert_true(shifted_use(memory)); /* the run before gave everything back */
    assert_ok(training_run(&whole, how, test_tmp("."), out));
}

static void compare(const setup *s, const way *w, const record *want)
{
    record got;
    char text[RECORD_TEXT];
    run_way(s, &w->how, w->memory, &got);
    const char *what = record_differ(want, &got, text);
    if (what != NULL)
        fail_msg("%s, %s, %s: differs in %s", tp_isa(), s->name, w->name, what);
    record_free(&got);
    runs++;
}

/* The processor's best level, then what it can do without. */
static const char *const level_names[] = {"avx512", "avx2", "ref"};

static void the_same_bytes(void **state)
{
    (void)state;
    for (int l = 0; l < 3; l++) {
        if (tp_set_isa(level_names[l]) != TP_OK)
            continue;
        levels++;
        for (int i = 0; i < (full ? SETUPS : SHORT_SETUPS); i++) {
            record want;
            run_way(&setups[i], &on_one, (shifted){0}, &want);
            runs++;
            for (int w = 0; w < WAYS; w++)
                if (ways[w].brief || (full && i != LARGEST))
                    compare(&setups[i], &ways[w], &want);
            record_free(&want);
        }
    }
}

static void the_same_bytes_of_all_kinds(void **state)
{
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        record want;
        run_way(&kinds[i], &on_one, (shifted){0}, &want);
        runs++;
        for (int w = 0; w < WAYS; w++)
            if (ways[w].brief || full)
                compare(&kinds[i], &ways[w], &want);
        record_free(&want);
    }
}

/* --- the same bytes as ever ------------------------------------------------------------------------ */

/* What losses, evaluation, weights and moments of each setup hash to after a few steps at level ref. gcc 12 and
 * clang 14 agree, optimised or with sanitizers. Who changes numbers on purpose copies the new ones from the message;
 * nobody changes them without noticing. Other levels contract multiplications and additions as the compiler likes. */
enum { FINGERPRINT_STEPS = 12 };
static const uint64_t fingerprints[SETUPS] = {
    0x6b36b087bf5e93b8, /* vae f32 adam */
    0x5acba0f2e812f3d8, /* ae f64 momentum */
    0x271af32298f79b03, /* vae f64 adam */
    0xea76a4c5536f7e96, /* vae f32 momentum */
    0x8447884cd1df90ba, /* gaussian vae f32 adam */
    0xe7a1c560f24b21c2, /* ae f32 sgd */
    0xec2a527972b526f3, /* gaussian ae f64 sgd */
    0x7b1e4a6de9ce300e, /* small vae f32 adam */
    0x1946276855ffad55, /* single rows */
    0x88e8072823ed3413, /* vae-400 f32 adam */
};

static uint64_t fingerprint(setup s)
{
    record r;
    s.steps = FINGERPRINT_STEPS;
    run_way(&s, &on_one, (shifted){0}, &r);
    uint64_t hash = record_hash(&r, "checkpoint");
    record_free(&r);
    return hash;
}

static void the_same_bytes_as_ever(void **state)
{
    (void)state;
    int wrong = 0;
#if !defined(__x86_64__) || !defined(__GLIBC__)
    print_message("the fingerprints are those of x86-64 with glibc\n");
    skip();
#endif
    assert_ok(tp_set_isa("ref"));
    for (int i = 0; i < (full ? SETUPS : SHORT_SETUPS); i++) {
        uint64_t hash = fingerprint(setups[i]);
        if (hash != fingerprints[i])
            print_error("%s: 0x%016llx\n", setups[i].name, (unsigned long long)hash), wrong++;
    }
    setup other = setups[0];
    other.batch--; /* the negative control */
    assert_true(fingerprint(other) != fingerprints[0]);
    assert_int_equal(wrong, 0);
}

/* --- environments -------------------------------------------------------------------------------- */

/* What OpenMP, the allocator and the loader read before main, hence each in a process of its own. */
static const char *const environments[][4] = {
    {"OMP_DYNAMIC=true", "OMP_NUM_THREADS=5"},
    {"OMP_NUM_THREADS=3", "OMP_SCHEDULE=dynamic,1", "MALLOC_PERTURB_=165"},
    {"OMP_PROC_BIND=spread", "OMP_PLACES=threads", "OMP_NUM_THREADS=4"},
    {"OMP_THREAD_LIMIT=2", "OMP_NUM_THREADS=8", "OMP_WAIT_POLICY=passive"},
    {"OMP_NESTED=true", "OMP_MAX_ACTIVE_LEVELS=4", "OMP_NUM_THREADS=2"},
    {"OMP_NUM_THREADS=nonsense", "OMP_STACKSIZE=256k", "LC_ALL=de_DE.UTF-8"},
};
enum { ENVIRONMENTS = sizeof environments / sizeof *environments, SHORT_ENVIRONMENTS = 2 };

/* A process of its own: trains with the number of threads that the environment says, and writes its record. */
static int write_record(const char *path)
{
    record r;
    setup s = setups[0];
    s.steps = STEPS;
    FILE *f = fopen(path, "wb");
    shifted_install();
    if (f == NULL || training_run(&s, &(manner){.threads = 0}, test_tmp("."), &r) != TP_OK)
        return 1;
    bool good = fwrite(r.bytes, 1, r.n, f) == r.n;
    record_free(&r);
    return fclose(f) == 0 && good ? 0 : 1;
}

static int run_child(const char *const variables[4], const char *path)
{
    extern char **environ;
    char *arguments[10] = {"env"};
    int n = 1, result = -1;
    pid_t child;
    while (n <= 4 && variables[n - 1] != NULL) {
        arguments[n] = (char *)variables[n - 1];
        n++;
    }
    arguments[n++] = program;
    arguments[n++] = "record";
    arguments[n++] = (char *)path;
    assert_int_equal(posix_spawnp(&child, "env", NULL, NULL, arguments, environ), 0);
    while (waitpid(child, &result, 0) < 0 && errno == EINTR)
        ;
    return result;
}

static void the_same_bytes_in_any_environment(void **state)
{
    (void)state;
    record want;
    int best = 0;
    while (tp_set_isa(level_names[best]) != TP_OK)
        best++;
    run_way(&setups[0], &on_one, (shifted){0}, &want);
    unsigned char *got = malloc(want.n + 1);
    for (int i = 0; i < (full ? ENVIRONMENTS : SHORT_ENVIRONMENTS); i++) {
        const char *path = test_tmp("record");
        assert_int_equal(run_child(environments[i], path), 0);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        assert_int_equal(fread(got, 1, want.n + 1, f), want.n);
        fclose(f);
        if (memcmp(got, want.bytes, want.n) != 0)
            fail_msg("with %s … other bytes came out", environments[i][0]);
        runs++;
    }
    free(got);
    record_free(&want);
}

/* --- the caller's floating-point mode -------------------------------------------------------------- */

static void note_mode(int64_t chunk, void *arg)
{
    ((int *)arg)[chunk] = fegetround();
}

/* Neither the caller's rounding mode nor a worker's is touched, and no result depends on what it was: the mode
 * belongs to whoever set it. */
static void modes_stay(void **state)
{
    (void)state;
    enum { CHUNKS = 8 };
    int modes[CHUNKS];
    record r;
    run_way(&setups[0], &(manner){.threads = 4}, (shifted){0}, &r);
    record_free(&r);
    assert_int_equal(fegetround(), FE_TONEAREST);
    tp_parallel(CHUNKS, note_mode, modes);
    for (int i = 0; i < CHUNKS; i++)
        assert_int_equal(modes[i], FE_TONEAREST);
}

/* --- what must be caught --------------------------------------------------------------------------- */

/* An operation that means to give the mean of its input, and in each way depends on something it may not. */
typedef enum fault { NO_FAULT, BY_THREADS, BY_ADDRESS, BY_GARBAGE, BY_CALLS, FAULTS } fault;
static fault broken;

static float sum(const float *x, int64_t first, int64_t last)
{
    float s = 0;
    for (int64_t i = first; i < last; i++)
        s += x[i];
    return s;
}

static tp_status bad_shape(const tp_op_call *c)
{
    c->y->shape = TP_SHAPE();
    return TP_OK;
}

static tp_status bad_forward(const tp_op_call *c)
{
    static int calls;
    const float *x = tp_data(c->x[0]);
    int64_t n = tp_numel(c->x[0]), parts = 1, first = 0;
    float s = 0;
    calls++;
    if (broken == BY_THREADS) /* a partial sum for each thread */
        parts = tp_threads();
    if (broken == BY_ADDRESS) /* begins where a page does */
        first = (int64_t)(4096 - (uintptr_t)x % 4096) / (int64_t)sizeof *x % n;
    if (broken == BY_CALLS)
        first = calls * 31 % n;
    for (int64_t i = 0; i < parts; i++)
        s += sum(x, first + (n - first) * i / parts, first + (n - first) * (i + 1) / parts);
    s += sum(x, 0, first);
    if (broken == BY_GARBAGE) {
        tp_tensor t;
        TP_TRY(tp_scratch(c, &t, TP_U8, TP_SHAPE(50000)));
        s += 1e-3f * (float)((const unsigned char *)tp_data(&t))[49999];
        tp_scratch_done(&t);
    }
    *(float *)tp_data_mut(c->y) = s / (float)n;
    return TP_OK;
}

static const tp_op bad_mean = {.name = "bad_mean",
                               .arity = 1,
                               .smooth = TP_NO_GRADIENT,
                               .why = "broken on purpose",
                               .shape = bad_shape,
                               .forward = bad_forward};

/* The model's loss, scaled by what the broken operation makes of the batch: it reaches every weight. */
static tp_objective bad_loss(void *model, tp_ctx *c, tp_var x)
{
    tp_objective o = tp_model_loss(model, c, x);
    o.total = tp_mul(o.total, tp_apply(&bad_mean, 1, &x, NULL));
    return o;
}

static const struct {
    const char *name;
    manner how;
    shifted memory;
    bool caught[FAULTS]; /* by fault */
} nets[] = {
    {"again", {1}, {0}, {[BY_CALLS] = true}},
    {"threads", {3}, {0}, {[BY_THREADS] = true, [BY_CALLS] = true}},
    {"shifted", {1}, {.shift = 4096 - 64}, {[BY_ADDRESS] = true, [BY_CALLS] = true}},
    {"noise", {1}, {.fill = FILL_NOISE}, {[BY_GARBAGE] = true, [BY_CALLS] = true}},
    {"used tape", {1, .used_tape = true}, {0}, {[BY_GARBAGE] = true, [BY_CALLS] = true}},
};
enum { NETS = sizeof nets / sizeof *nets };

/* Each fault is caught by the ways that are there for it, and by no others. */
static void faults_are_caught(void **state)
{
    (void)state;
    setup s = setups[0];
    s.steps = 4;
    for (broken = NO_FAULT; broken < FAULTS; broken++) {
        record want, got;
        char text[RECORD_TEXT];
        run_way(&s, &(manner){.threads = 1, .loss = bad_loss}, (shifted){0}, &want);
        for (int i = 0; i < NETS; i++) {
            manner how = nets[i].how;
            how.loss = bad_loss;
            run_way(&s, &how, nets[i].memory, &got);
            bool caught = record_differ(&want, &got, text) != NULL;
            if (caught != nets[i].caught[broken])
                fail_msg("fault %d: %s by '%s'", broken, caught ? "caught" : "not caught",
                         nets[i].name);
            record_free(&got);
        }
        record_free(&want);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_are_caught),
        cmocka_unit_test(the_same_bytes),
        cmocka_unit_test(the_same_bytes_of_all_kinds),
        cmocka_unit_test(the_same_bytes_as_ever),
        cmocka_unit_test(the_same_bytes_in_any_environment),
        cmocka_unit_test(modes_stay),
    };
    program = argv[0];
    if (argc == 3 && strcmp(argv[1], "record") == 0)
        return write_record(argv[2]);
    full = argc == 2 && strcmp(argv[1], "full") == 0;
    shifted_install();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf(
        "check-threads: %d runs of %d steps, 1 to 8 threads, %d ISA levels: one set of bytes per "
        "level\n",
        runs, STEPS, levels);
    return failed != 0;
}
