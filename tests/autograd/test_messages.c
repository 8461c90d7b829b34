/* test_messages.c: for every status code at least one failure as a user makes it, with its whole message as it
 * stands in tests/golden/errors.txt. A code of status.def without one fails here.
 *
 * With TAPIR_UPDATE_GOLDEN=1 the file is written anew: read it as somebody who has made the mistake. Messages of
 * readers of files: tests/corpus. Read next: tensor/status.def. */
#define _POSIX_C_SOURCE 200809L

#include "tests/autograd/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nn/layers.h"
#include "nn/optim.h"
#include "nn/layers.h"
#include "nn/params.h"
#include "tensor/io/idx.h"
#include "tensor/io/npy.h"
#include "tests/support/golden.h"
#include "tests/support/loaders.h"

/* A mistake. Returns the status it got; the message is the last error, or what the tape keeps. */
typedef struct scenario {
    tp_status code;
    const char *title;
    tp_status (*make)(void);
} scenario;

static tp_var constant(tp_dtype dtype, tp_shape shape)
{
    return tp_full(t, dtype, shape, 1);
}

/* --- shapes, types, values ------------------------------------------------------------------------ */

static tp_status clash(void)
{
    tp_scope_begin(t, "encoder");
    tp_var h = tp_name(constant(TP_F32, TP_SHAPE(64, 20)), "h", "vae.c", 112);
    tp_mul(h, tp_sum(h, TP_AXES(1), false));
    tp_scope_end(t);
    return tp_tape_status(t);
}

static tp_status wrong_reshape(void)
{
    tp_reshape(tp_param(t, &w), TP_SHAPE(3, -1));
    return tp_tape_status(t);
}

static tp_status wrong_reshape_of_tensor(void)
{
    tp_tensor view;
    return tp_view_reshape(&data, TP_SHAPE(3), &view);
}

static tp_status mixed_types(void)
{
    tp_var x = tp_name(constant(TP_F32, TP_SHAPE(2)), "x", "vae.c", 7);
    tp_add(x, tp_param(t, &w));
    return tp_tape_status(t);
}

static tp_status float_index(void)
{
    tp_var x = tp_param(t, &w);
    tp_gather(x, constant(TP_F32, TP_SHAPE(2)), 0);
    return tp_tape_status(t);
}

static tp_status less_of_mixed_types(void)
{
    tp_var x = tp_param(t, &w);
    tp_less(x, constant(TP_F32, TP_SHAPE(2)));
    return tp_tape_status(t);
}

static tp_status index_too_large(void)
{
    tp_tensor index;
    assert_ok(tp_tensor_from(&index, TP_I64, TP_SHAPE(2, 2), (int64_t[]){0, 1, 4, 2}));
    tp_var words = tp_constant(t, &index);
    tp_embedding(tp_name(constant(TP_F32, TP_SHAPE(4, 3)), "words", "text.c", 31), words);
    tp_tensor_free(&index);
    return tp_tape_status(t);
}

static tp_status gather_too_large(void)
{
    tp_tensor index;
    assert_ok(tp_tensor_from(&index, TP_I64, TP_SHAPE(1), (int64_t[]){2}));
    tp_var x = tp_param(t, &w);
    tp_gather(x, tp_constant(t, &index), 0);
    tp_tensor_free(&index);
    return tp_tape_status(t);
}

static tp_status not_positive_definite(void)
{
    tp_cholesky(tp_full(t, TP_F64, TP_SHAPE(2, 2), -1));
    return tp_tape_status(t);
}

/* --- arguments, memory, files ----------------------------------------------------------------------- */

static tp_status wrong_probability(void)
{
    tp_ctx c = tp_ctx_train(t, 1, 0);
    tp_dropout(&c, tp_param(t, &w), 1);
    return tp_tape_status(t);
}

static tp_status wrong_rate(void)
{
    tp_params none = {0};
    tp_optimizer o;
    tp_adam_opts opts = tp_adam_defaults();
    opts.lr = -1;
    return tp_adam_init(&o, &none, opts);
}

static tp_status more_than_memory(void)
{
    return tp_alloc(SIZE_MAX) == NULL ? TP_ENOMEM : TP_OK;
}

static tp_status missing_file(void)
{
    tp_tensor out;
    return tp_idx_read("data/train-images-idx3-ubyte", &out);
}

static tp_status folder_instead(void)
{
    tp_tensor out;
    return tp_npy_load("tests", &out);
}

static tp_status nowhere_to_write(void)
{
    return tp_npy_save("no/such/folder/x.npy", &data);
}

static tp_status web_page(void)
{
    tp_tensor out;
    return tp_idx_read("tests/corpus/other/not_found.html", &out);
}

static tp_status truncated(void)
{
    tp_tensor out;
    return tp_npy_load("tests/corpus/npy/one_byte_short.npy", &out);
}

/* --- lifetimes -------------------------------------------------------------------------------------- */

static tp_status after_reset(void)
{
    tp_var x = tp_name(tp_param(t, &w), "x", "vae.c", 30);
    tp_tape_reset(t);
    tp_exp(x);
    return tp_tape_status(t);
}

static tp_status released(void)
{
    tp_var square, loss = loss_of(&square);
    tp_name(square, "square", "vae.c", 41);
    assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.release = true}));
    tp_exp(square);
    return tp_tape_status(t);
}

static tp_status backward_twice(void)
{
    tp_var square, loss = loss_of(&square);
    assert_ok(tp_backward_opts(loss, (tp_sweep_opts){.release = true}));
    return tp_backward(loss);
}

static tp_status written_between(void)
{
    tp_var square, loss = loss_of(&square);
    ((double *)tp_data_mut(&w.value))[0] = 9;
    return tp_backward(loss);
}

/* --- tapes and gradients ------------------------------------------------------------------------------ */

static tp_status two_tapes(void)
{
    tp_tape *other;
    assert_ok(tp_tape_new(&other));
    tp_add(tp_param(t, &w), tp_param(other, &u));
    tp_status s = tp_tape_status(t);
    tp_tape_free(other);
    return s;
}

static tp_status empty_var(void)
{
    tp_mul(tp_param(t, &w), (tp_var){0});
    return tp_tape_status(t);
}

static tp_status nothing_to_learn(void)
{
    return tp_backward(total(tp_constant(t, &data)));
}

static tp_status detached(void)
{
    tp_var x = tp_param(t, &w), loss = total(tp_detach(x)), g;
    return tp_grad(1, &loss, 1, &x, &g, (tp_grad_opts){0});
}

static tp_status log_of_zero(void)
{
    tp_tape_trap(t, true);
    tp_scope_begin(t, "decoder");
    tp_var p = tp_name(tp_param(t, &w), "p", "vae.c", 88);
    tp_log(tp_sub(p, p));
    tp_scope_end(t);
    return tp_tape_status(t);
}

static tp_status infinite_gradient(void)
{
    tp_tape_trap(t, true);
    tp_var x = tp_param(t, &w);
    return tp_backward(total(tp_sqrt(tp_sub(x, tp_detach(x)))));
}

static tp_status step_to_infinity(void)
{
    tp_params all = tp_params_make(TP_F64, 1);
    tp_optimizer o;
    tp_parameter p;
    assert_ok(tp_params_add(&all, &p, "encoder.bias", TP_SHAPE(2)));
    assert_ok(tp_adam_init(&o, &all, tp_adam_defaults()));
    assert_ok(tp_backward(total(tp_sqrt(tp_param(t, &p)))));
    tp_status s = tp_optimizer_step(&o);
    tp_optimizer_free(&o);
    tp_params_free(&all);
    return s;
}

/* A data set of 5 in batches of 2. */
static tp_status last_of_a_batch(void)
{
    tp_params all = tp_params_make(TP_F32, 1);
    tp_nn_batch_norm norm;
    tp_ctx c = tp_ctx_train(t, 1, 0);
    assert_ok(tp_nn_batch_norm_init(&norm, &all, "encoder.1", 3, (tp_nn_batch_norm_opts){0}));
    tp_scope_begin(t, "encoder");
    tp_var h = tp_name(tp_full(t, TP_F32, TP_SHAPE(1, 3), 1), "h", "vae.c", 112);
    tp_status s = tp_var_status(tp_nn_batch_norm_apply(&norm, &c, h));
    tp_params_free(&all);
    return s;
}

static const scenario scenarios[] = {
    {TP_ESHAPE, "shapes that clash", clash},
    {TP_ESHAPE, "a size that does not divide", wrong_reshape},
    {TP_ESHAPE, "the same of a tensor", wrong_reshape_of_tensor},
    {TP_ESHAPE, "a batch of one where batches are compared", last_of_a_batch},
    {TP_EDTYPE, "two element types in one operation", mixed_types},
    {TP_EDTYPE, "indices that are floats", float_index},
    {TP_EDTYPE, "a comparison of two element types", less_of_mixed_types},
    {TP_EVALUE, "a word beyond the last", index_too_large},
    {TP_EVALUE, "an index beyond the axis", gather_too_large},
    {TP_EVALUE, "a matrix that has no Cholesky factor", not_positive_definite},
    {TP_EARG, "dropping everything", wrong_probability},
    {TP_EARG, "learning backwards", wrong_rate},
    {TP_ENOMEM, "more than there is", more_than_memory},
    {TP_EIO, "a file that is not there", missing_file},
    {TP_EIO, "a folder instead of a file", folder_instead},
    {TP_EIO, "a folder that is not there", nowhere_to_write},
    {TP_EFORMAT, "a download that failed", web_page},
    {TP_EFORMAT, "a download that broke off", truncated},
    {TP_ESTALE, "a var kept from the last step", after_reset},
    {TP_EFREED, "a value after a backward that releases", released},
    {TP_EFREED, "backward twice", backward_twice},
    {TP_EVERSION, "a parameter written before backward", written_between},
    {TP_ETAPE, "vars of two tapes", two_tapes},
    {TP_ETAPE, "a var that was never set", empty_var},
    {TP_EGRAD, "a loss of data alone", nothing_to_learn},
    {TP_EGRAD, "a gradient through detach", detached},
    {TP_ENONFINITE, "the logarithm of zero", log_of_zero},
    {TP_ENONFINITE, "the slope of a root at zero", infinite_gradient},
    {TP_ENONFINITE, "a step along an infinite gradient", step_to_infinity},
};
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* The first code but TP_OK that none of the n is about, or TP_STATUS_COUNT. */
static int code_without(const scenario *s, int n)
{
    for (int code = TP_OK + 1; code < TP_STATUS_COUNT; code++) {
        bool found = false;
        for (int i = 0; i < n; i++)
            found = found || (int)s[i].code == code;
        if (!found)
            return code;
    }
    return TP_STATUS_COUNT;
}

static void test_every_code(void **state)
{
    (void)state;
    int missing = code_without(scenarios, SCENARIOS);
    if (missing < TP_STATUS_COUNT)
        print_error("no scenario fails with %s\n", tp_status_name((tp_status)missing));
    assert_int_equal(missing, TP_STATUS_COUNT);
    assert_int_equal(code_without(scenarios, SCENARIOS - 3), TP_ENONFINITE); /* it would notice */
    assert_int_equal(code_without(scenarios + 4, SCENARIOS - 4), TP_ESHAPE);
}

/* Every mistake on a tape of its own; a code, a title and the message for each. */
static char *all_messages(void **state)
{
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    for (int i = 0; i < SCENARIOS; i++) {
        const scenario *s = &scenarios[i];
        set_up(state);
        tp_status got = s->make();
        const char *message = tp_tape_status(t) != TP_OK ? tp_tape_message(t) : tp_last_error();
        const char *name = tp_status_name(s->code);
        if (got != s->code || strncmp(message, name, strlen(name)) != 0)
            print_error("%s: %s, %s\n", s->title, tp_status_name(got), message);
        assert_int_equal(got, s->code);
        assert_memory_equal(message, name, strlen(name));
        assert_null(message_fault(message));
        fprintf(out, "--- %s\n%s\n\n", s->title, message);
        tear_down(state);
    }
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_messages(void **state)
{
    char *text = all_messages(state);
    assert_golden("errors", text);
    free(text);
}

/* Every code has a name and a meaning of its own, and what is no code has neither. */
static void test_names(void **state)
{
    (void)state;
    for (int a = 0; a < TP_STATUS_COUNT; a++)
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(tp_status_name((tp_status)a), tp_status_name((tp_status)b));
            assert_string_not_equal(tp_status_meaning((tp_status)a),
                                    tp_status_meaning((tp_status)b));
        }
    assert_string_equal(tp_status_name(TP_STATUS_COUNT), "E_?");
    assert_string_equal(tp_status_meaning(TP_STATUS_COUNT), "not a status code");
}

/* What is quoted cannot command a terminal, forge a second message or be cut into something else. */
static void test_quoted(void **state)
{
    (void)state;
    char longest[10000];
    assert_status(tp_fail(TP_EARG, "%s: x\n  y", "\33[2Ja\nE_IO b\x7f\xc2\x85\xff"), TP_EARG);
    assert_string_equal(tp_last_error(), "E_ARG \\x1b[2Ja\\x0aE_IO b\\x7f\\xc2\\x85\\xff: x\n  y");
    tp_fail_prefix("%s: ", "\r");
    assert_string_equal(tp_last_error(),
                        "E_ARG \\x0d: \\x1b[2Ja\\x0aE_IO b\\x7f\\xc2\\x85\\xff: x\n  y");
    memset(longest, '\a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_status(tp_fail(TP_EIO, "%s", longest), TP_EIO);
    assert_null(message_fault(tp_last_error()));
    assert_true(strlen(tp_last_error()) > 4000);
    assert_string_equal(tp_last_error() + strlen(tp_last_error()) - 7, "\\x07…");
    tp_fail_prefix("%s: ", "\xc3\xa9");
    assert_memory_equal(tp_last_error(), "E_IO \xc3\xa9: \\x07", 13);
    tp_fail(TP_EIO, "cannot open");
    longest[600] = 0;
    memset(longest, 'p', 600);
    tp_fail_prefix("%s: ", longest);
    assert_int_equal(strlen(tp_last_error()), strlen("E_IO : cannot open") + 600);
    memset(longest, 'p', sizeof longest - 1);
    tp_fail(TP_EIO, "cannot open");
    tp_fail_prefix("%s: ", longest); /* what happened is worth more than the end of a name */
    assert_message("ppp…: cannot open");
}

/* A mark of direction turns a name around, and what nobody sees makes two names look alike. */
static void test_unseen(void **state)
{
    (void)state;
    static const char *const unseen[] = {
        "\xd8\x9c",         /* U+061C, Arabic letter mark */
        "\xc2\xad",         /* U+00AD, soft hyphen */
        "\xe1\xa0\x8e",     /* U+180E, Mongolian vowel separator */
        "\xe2\x80\xae",     /* U+202E, right-to-left override */
        "\xe2\x81\xa7",     /* U+2067, right-to-left isolate */
        "\xef\xbb\xbf",     /* U+FEFF, byte order mark */
        "\xef\xbf\xb9",     /* U+FFF9, interlinear annotation */
        "\xf3\xa0\x81\xa1", /* U+E0061, tag */
    };
    static const char *const seen[] = {"\xc2\xac", "\xd8\x9b", "\xe2\x80\xa6", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++) {
        tp_fail(TP_EARG, "a%sb", unseen[i]);
        assert_null(strstr(tp_last_error(), unseen[i]));
        assert_int_equal(strlen(tp_last_error()), strlen("E_ARG ab") + 4 * strlen(unseen[i]));
    }
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        tp_fail(TP_EARG, "a%sb", seen[i]);
        assert_non_null(strstr(tp_last_error(), seen[i]));
    }
}

int main(void)
{
    if (chdir(TAPIR_SOURCE_DIR) != 0) /* messages name files from there */
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code), cmocka_unit_test(test_messages),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_quoted),
        cmocka_unit_test(test_unseen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
