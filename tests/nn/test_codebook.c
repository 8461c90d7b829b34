/* test_codebook.c: vector quantisation by a codebook of running means, against the same in plain C.
 *
 * What a model makes of it is tests/models/test_vq_vae.c. Read next: nn/layers/codebook.h.
 */
#include "tests/nn/fixture.h"

#include <math.h>
#include <string.h>

#include "nn/layers/codebook.h"
#include "tensor/mem.h"

enum { CODES = 5, DIM = 3, N = 8 };

typedef struct book {
    tp_params ps;
    tp_nn_codebook b;
} book;

static void make(book *k, tp_dtype dtype, uint64_t seed, tp_nn_codebook_opts opts)
{
    *k = (book){.ps = tp_params_make(dtype, seed)};
    assert_ok(tp_nn_codebook_init(&k->b, &k->ps, "book", CODES, DIM, opts));
}

/* The vectors as they are defined, out of the buffers. */
static void vectors_of(const tp_nn_codebook *b, double eps, double e[CODES][DIM])
{
    double all = 0;
    for (int64_t i = 0; i < CODES; i++)
        all += tp_flat(&b->counts.value, i);
    for (int64_t i = 0; i < CODES; i++)
        for (int64_t d = 0; d < DIM; d++)
            e[i][d] = tp_flat(&b->sums.value, i * DIM + d) /
                      ((tp_flat(&b->counts.value, i) + eps) * all / (all + CODES * eps));
}

static int64_t nearest(double e[CODES][DIM], const double *z)
{
    int64_t best = 0;
    double least = INFINITY;
    for (int64_t i = 0; i < CODES; i++) {
        double far = 0;
        for (int d = 0; d < DIM; d++)
            far += (z[d] - e[i][d]) * (z[d] - e[i][d]);
        if (far < least)
            least = far, best = i;
    }
    return best;
}

/* --- looking up ----------------------------------------------------------------------------------- */

static void test_nearest(void **state)
{
    (void)state;
    for (int dtype = TP_F32; dtype <= TP_F64; dtype++) {
        fixture *f = fixture_new();
        book k;
        double e[CODES][DIM];
        int used[CODES] = {0};
        make(&k, (tp_dtype)dtype, 3, (tp_nn_codebook_opts){0});
        vectors_of(&k.b, 1e-5, e);
        tp_ctx c = tp_ctx_eval(f->tape, 1, 0);
        const tp_tensor *z = fixture_draw(f, (tp_dtype)dtype, TP_SHAPE(2, 50, DIM), 7, 1, 0);
        tp_var index = tp_nn_codebook_nearest(&k.b, &c, tp_constant(f->tape, z));
        tp_var found = tp_nn_codebook_lookup(&k.b, &c, index);
        assert_true(tp_shape_equal(tp_shape_of(index), TP_SHAPE(2, 50)));
        assert_true(tp_shape_equal(tp_shape_of(found), TP_SHAPE(2, 50, DIM)));
        for (int64_t i = 0; i < 100; i++) {
            double at[DIM];
            for (int64_t d = 0; d < DIM; d++)
                at[d] = tp_flat(z, i * DIM + d);
            int64_t want = nearest(e, at);
            used[want]++;
            assert_true(tp_flat(tp_value(index), i) == (double)want);
            for (int64_t d = 0; d < DIM; d++)
                assert_close(tp_flat(tp_value(found), i * DIM + d), e[want][d], 0,
                             dtype == TP_F32 ? 1e-6 : 1e-15);
        }
        for (int i = 0; i < CODES; i++)
            assert_true(used[i] > 0);
        assert_false(tp_needs_grad(found));
        assert_ok(tp_tape_status(f->tape));
        tp_params_free(&k.ps);
        fixture_free(f);
    }
}

/* Of two that are the same the first is taken. */
static void test_tie(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    book k;
    make(&k, TP_F64, 3, (tp_nn_codebook_opts){0});
    assert_ok(tp_fill(&k.b.sums.value, 0.5));
    tp_ctx c = tp_ctx_eval(f->tape, 1, 0);
    tp_var index = tp_nn_codebook_nearest(&k.b, &c, drawn(f, TP_SHAPE(4, DIM), 1));
    for (int64_t i = 0; i < 4; i++)
        assert_true(tp_flat(tp_value(index), i) == 0);
    tp_params_free(&k.ps);
    fixture_free(f);
}

/* Drawn N(0, 1/width), from the seed and the place in the list; of both types alike. */
static void test_begin(void **state)
{
    (void)state;
    enum { MANY = 2000 };
    tp_params ps = tp_params_make(TP_F64, 1), single = tp_params_make(TP_F32, 1);
    tp_nn_codebook a, b, c;
    double square = 0, mean = 0;
    assert_ok(tp_nn_codebook_init(&a, &ps, "a", MANY, 4, (tp_nn_codebook_opts){0}));
    assert_ok(tp_nn_codebook_init(&b, &ps, "b", MANY, 4, (tp_nn_codebook_opts){0}));
    assert_ok(tp_nn_codebook_init(&c, &single, "a", MANY, 4, (tp_nn_codebook_opts){0}));
    for (int64_t i = 0; i < MANY * 4; i++) {
        double x = tp_flat(&a.sums.value, i);
        mean += x / (MANY * 4);
        square += x * x / (MANY * 4);
        assert_true(x != tp_flat(&b.sums.value, i));
        assert_close(tp_flat(&c.sums.value, i), x, 1e-6, 1e-6);
    }
    assert_close(mean, 0, 4 * 0.5 / sqrt(MANY * 4), 0);
    assert_close(square, 0.25, 4 * 0.25 * sqrt(2.0 / (MANY * 4)), 0);
    assert_int_equal(ps.n, 0); /* nothing that an optimizer would move */
    tp_params_free(&ps);
    tp_params_free(&single);
}

/* --- learning ------------------------------------------------------------------------------------- */

/* A step: what the inputs are nearest to is learned; committed or not. */
static void step(book *k, fixture *f, tp_mode mode, const tp_tensor *z, bool commit)
{
    tp_tape_reset(f->tape);
    tp_ctx c = mode == TP_TRAIN ? tp_ctx_train(f->tape, 1, 0) : tp_ctx_eval(f->tape, 1, 0);
    tp_var x = tp_constant(f->tape, z);
    tp_nn_codebook_learn(&k->b, &c, x, tp_nn_codebook_nearest(&k->b, &c, x));
    assert_ok(tp_tape_status(f->tape));
    if (commit)
        tp_params_commit(&k->ps, f->tape);
}

typedef struct running {
    double n[CODES], m[CODES][DIM];
} running;

/* The update by hand; keep is the weight of what was. */
static void by_hand(running *r, double eps, double keep, const tp_tensor *z)
{
    double e[CODES][DIM], all = 0, n[CODES] = {0}, m[CODES][DIM] = {{0}};
    for (int i = 0; i < CODES; i++)
        all += r->n[i];
    for (int i = 0; i < CODES; i++)
        for (int d = 0; d < DIM; d++)
            e[i][d] = r->m[i][d] * (all + CODES * eps) / ((r->n[i] + eps) * all);
    for (int64_t k = 0; k < N; k++) {
        double at[DIM];
        for (int64_t d = 0; d < DIM; d++)
            at[d] = tp_flat(z, k * DIM + d);
        int64_t i = nearest(e, at);
        n[i] += 1;
        for (int d = 0; d < DIM; d++)
            m[i][d] += at[d];
    }
    for (int i = 0; i < CODES; i++) {
        r->n[i] = keep * r->n[i] + (1 - keep) * n[i];
        for (int d = 0; d < DIM; d++)
            r->m[i][d] = keep * r->m[i][d] + (1 - keep) * m[i][d];
    }
}

static running begin(const book *k)
{
    running r;
    for (int64_t i = 0; i < CODES; i++) {
        r.n[i] = 1;
        for (int64_t d = 0; d < DIM; d++)
            r.m[i][d] = tp_flat(&k->b.sums.value, i * DIM + d);
    }
    return r;
}

static double apart(const book *k, const running *r)
{
    double most = 0;
    for (int64_t i = 0; i < CODES; i++) {
        most = fmax(most, fabs(r->n[i] - tp_flat(&k->b.counts.value, i)));
        for (int64_t d = 0; d < DIM; d++)
            most = fmax(most, fabs(r->m[i][d] - tp_flat(&k->b.sums.value, i * DIM + d)));
    }
    return most;
}

/* Three steps, and in between what must leave no trace: evaluation, and a recording that is not committed. The controls:
 * decay and its complement mixed up, and means of the counts as they are. */
static void test_running_means(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    book k;
    const double decay = 0.8, eps = 0.05;
    make(&k, TP_F64, 3, (tp_nn_codebook_opts){.decay = decay, .eps = eps});
    running right = begin(&k), mixed = right, plain = right;
    double before = apart(&k, &right);
    assert_true(before == 0);
    for (uint64_t s = 0; s < 3; s++) {
        const tp_tensor *z = fixture_draw(f, TP_F64, TP_SHAPE(2, N / 2, DIM), s + 10, 1, 0.3);
        step(&k, f, TP_EVAL, z, true);
        step(&k, f, TP_TRAIN, z, false);
        assert_true(apart(&k, &right) <= 1e-14);
        step(&k, f, TP_TRAIN, z, true);
        by_hand(&right, eps, decay, z);
        by_hand(&mixed, eps, 1 - decay, z);
        by_hand(&plain, 0, decay, z);
        assert_true(apart(&k, &right) <= 1e-14);
        assert_true(apart(&k, &mixed) > 0.1);
    }
    double e[CODES][DIM], rough = 0;
    tp_ctx c = tp_ctx_eval(f->tape, 1, 0);
    const tp_tensor *vectors = tp_value(tp_nn_codebook_vectors(&k.b, &c));
    vectors_of(&k.b, eps, e);
    for (int64_t i = 0; i < CODES * DIM; i++) {
        assert_close(tp_flat(vectors, i), e[i / DIM][i % DIM], 0, 1e-14);
        rough =
            fmax(rough, fabs(tp_flat(vectors, i) - plain.m[i / DIM][i % DIM] / plain.n[i / DIM]));
    }
    assert_true(rough > 1e-3);
    tp_params_free(&k.ps);
    fixture_free(f);
}

/* Inputs in CODES heaps: the vectors come to their means, an online k-means; a code that nothing goes to any more stays
 * finite. */
static void test_heaps(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    book k;
    make(&k, TP_F32, 3, (tp_nn_codebook_opts){.decay = 0.9});
    double z[N * DIM];
    for (int i = 0; i < N; i++)
        for (int d = 0; d < DIM; d++)
            z[i * DIM + d] = (i % 2 == 0 ? 2 : -2) + 0.1 * (i / 2) * (d - 1);
    const tp_tensor *x = fixture_tensor(f, TP_F32, TP_SHAPE(N, DIM), z);
    for (int i = 0; i < 2000; i++)
        step(&k, f, TP_TRAIN, x, true);
    tp_ctx c = tp_ctx_eval(f->tape, 1, 0);
    const tp_tensor *e = tp_value(tp_nn_codebook_vectors(&k.b, &c));
    for (int64_t i = 0; i < CODES * DIM; i++)
        assert_true(isfinite(tp_flat(e, i)));
    double most = 0;
    tp_var at = tp_constant(f->tape, x);
    const tp_tensor *found =
        tp_value(tp_nn_codebook_lookup(&k.b, &c, tp_nn_codebook_nearest(&k.b, &c, at)));
    for (int64_t i = 0; i < N * DIM; i++)
        most = fmax(most, fabs(tp_flat(found, i) - tp_flat(x, i)));
    assert_true(most < 0.31);
    tp_params_free(&k.ps);
    fixture_free(f);
}

/* --- how many are in use -------------------------------------------------------------------------- */

static void test_perplexity(void **state)
{
    (void)state;
    static const double counts[][CODES] = {
        {1, 1, 1, 1, 1}, {7, 0, 0, 0, 0}, {3, 3, 0, 0, 0}, {4, 2, 1, 1, 0}};
    static const double want[] = {5, 1, 2, 3.363585661014858};
    fixture *f = fixture_new();
    book k;
    make(&k, TP_F64, 3, (tp_nn_codebook_opts){.eps = 1e-12});
    for (int i = 0; i < 4; i++) {
        tp_tape_reset(f->tape);
        tp_ctx c = tp_ctx_eval(f->tape, 1, 0);
        for (int64_t j = 0; j < CODES; j++)
            assert_ok(tp_set_flat(&k.b.counts.value, j, counts[i][j]));
        assert_close(tp_item_of(tp_nn_codebook_perplexity(&k.b, &c)), want[i], 0, 1e-9);
    }
    tp_params_free(&k.ps);
    fixture_free(f);
}

/* --- files and refusals --------------------------------------------------------------------------- */

static void test_file(void **state)
{
    (void)state;
    fixture *f = fixture_new();
    book a, b;
    const char *path = test_tmp("book.safetensors");
    make(&a, TP_F32, 1, (tp_nn_codebook_opts){0});
    make(&b, TP_F32, 2, (tp_nn_codebook_opts){0});
    step(&a, f, TP_TRAIN, fixture_draw(f, TP_F32, TP_SHAPE(N, DIM), 5, 1, 0), true);
    assert_false(equal_bits(&a.b.sums.value, &b.b.sums.value));
    assert_ok(tp_params_save(&a.ps, path, NULL));
    assert_ok(tp_params_load(&b.ps, path));
    assert_true(equal_bits(&a.b.sums.value, &b.b.sums.value));
    assert_true(equal_bits(&a.b.counts.value, &b.b.counts.value));
    assert_ptr_equal(tp_params_find_buffer(&a.ps, "book.counts"), &a.b.counts);
    assert_ptr_equal(tp_params_find_buffer(&a.ps, "book.sums"), &a.b.sums);
    tp_params_free(&a.ps);
    tp_params_free(&b.ps);
    fixture_free(f);
}

static void test_refusals(void **state)
{
    (void)state;
    size_t before = tp_mem().live_bytes;
    fixture *f = fixture_new();
    tp_params ps = tp_params_make(TP_F64, 1);
    tp_nn_codebook b = {0};
    static const tp_nn_codebook_opts wrong[] = {
        {.decay = 1}, {.decay = -0.5}, {.decay = NAN}, {.eps = -1}, {.eps = INFINITY}};
    assert_status(tp_nn_codebook_init(&b, &ps, "book", 0, 3, (tp_nn_codebook_opts){0}), TP_ESHAPE);
    assert_message("codebook 'book' of 0 vectors of 3: at least 1 of each needed");
    for (int i = 0; i < 5; i++) {
        assert_status(tp_nn_codebook_init(&b, &ps, "book", 2, 3, wrong[i]), TP_EARG);
        assert_message("codebook 'book': decay ");
    }
    assert_int_equal(ps.buffers, 0);
    assert_ok(tp_nn_codebook_init(&b, &ps, "book", CODES, DIM, (tp_nn_codebook_opts){0}));
    tp_ctx c = tp_ctx_train(f->tape, 1, 0);
    tp_var other = tp_nn_codebook_nearest(&b, &c, drawn(f, TP_SHAPE(4, DIM + 1), 1));
    assert_status(tp_var_status(other), TP_ESHAPE);
    assert_message("tp_squared_distance: shapes [4,4] and [5,3]");
    tp_nn_codebook_learn(&b, &c, other, other); /* on a tape that has failed: nothing */
    tp_params_commit(&ps, f->tape);
    for (int64_t i = 0; i < CODES; i++)
        assert_true(tp_flat(&b.counts.value, i) == 1);
    tp_params_free(&ps);
    fixture_free(f);
    assert_int_equal(tp_mem().live_bytes, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest), cmocka_unit_test(test_tie),
        cmocka_unit_test(test_begin),   cmocka_unit_test(test_running_means),
        cmocka_unit_test(test_heaps),   cmocka_unit_test(test_perplexity),
        cmocka_unit_test(test_file),    cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
