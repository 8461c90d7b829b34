/* conformance.h: what the tests start from that run for every row of models.def: a tiny model of any type with each
 * likelihood that it can have, and a batch of everything it may ask for.
 *
 * No type is known here by its name: what a model is, its struct says (models/model.h). A test of a property is a
 * function of one specimen; rows_run makes a cmocka test of it for each type and likelihood, under the name of both.
 * Read next: test_conformance.c.
 */
#ifndef TP_TESTS_MODELS_CONFORMANCE_H
#define TP_TESTS_MODELS_CONFORMANCE_H

#include "tests/support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/uses.h"

/* No two sizes are equal, so that axes that are taken for each other do not fit. */
enum { DATA = 7, HIDDEN = 5, LATENTS = 2, CLASSES = 3, LEVELS = 4, BATCH = 6, EXAMPLES = 9 };
/* Of a model that wants them, pictures, as small as they can be and not square. */
enum { PICTURE_CHANNELS = 2, PICTURE_LONGER = 1 };
/* A step at which every schedule that is meant for practice has ended. */
enum { LATE = 2000000 };
enum { WHY = 300 };

typedef struct row {
    const tp_model_type *type;
    tp_likelihood likelihood;
    void (*check)(const tp_model_type *type, tp_likelihood likelihood);
} row;

/* Pictures of that many channels, rows and columns. */
static inline void shaped(tp_model_config *c, int64_t channels, int64_t height, int64_t width)
{
    c->data_shape = TP_SHAPE(channels, height, width);
    c->data_dim = channels * height * width;
}

/* The type's own defaults, tiny. Smooth, so that differences of the loss can be compared with its gradient. */
static inline tp_model_config tiny_of(const tp_model_type *type, tp_likelihood likelihood)
{
    tp_model_config c = tp_model_defaults(type);
    c.data_dim = DATA;
    if (type->pictures > 0)
        shaped(&c, PICTURE_CHANNELS, type->pictures, type->pictures + PICTURE_LONGER);
    c.hidden[0] = HIDDEN;
    c.latent_dim = LATENTS;
    c.activation = TP_TANH;
    c.likelihood = likelihood;
    c.levels = LEVELS;
    c.classes = CLASSES;
    c.examples = EXAMPLES;
    return c;
}

static inline bool row_allows(const tp_model_type *type, int likelihood)
{
    return type->likelihoods == 0 || (type->likelihoods & 1u << likelihood) != 0;
}

/* --- data ------------------------------------------------------------------------------------------------- */

/* Examples with labels and numbers; as many as wanted of EXAMPLES, each another one. */
typedef struct examples {
    tp_tensor x, labels, index; /* [n, width]; i64 [n] each */
} examples;

static inline void examples_free(examples *e)
{
    tp_tensor_free(&e->x);
    tp_tensor_free(&e->labels);
    tp_tensor_free(&e->index);
}

/* Bits for Bernoulli likelihoods, else anything in [0,1]. */
static inline examples examples_of(tp_likelihood likelihood, tp_dtype dtype, int64_t n,
                                   int64_t width)
{
    examples e;
    assert_ok(tp_tensor_new(&e.x, dtype, TP_SHAPE(n, width)));
    assert_ok(tp_random_uniform(&e.x, (tp_rng_key){.seed = 11}));
    for (int64_t i = 0; likelihood == TP_BERNOULLI && i < n * width; i++)
        assert_ok(tp_set_flat(&e.x, i, tp_flat(&e.x, i) < 0.5 ? 0 : 1));
    assert_ok(tp_tensor_new(&e.labels, TP_I64, TP_SHAPE(n)));
    assert_ok(tp_tensor_new(&e.index, TP_I64, TP_SHAPE(n)));
    int64_t *label = tp_data_mut(&e.labels), *index = tp_data_mut(&e.index);
    for (int64_t i = 0; i < n; i++)
        label[i] = (2 * i + 1) % CLASSES, index[i] = (i * 5 + 3) % EXAMPLES;
    return e;
}

/* Those of some places, in their order. */
static inline examples examples_at(const examples *from, int64_t n, const int64_t *place)
{
    examples e;
    int64_t width = from->x.shape.dim[1];
    assert_ok(tp_tensor_new(&e.x, from->x.dtype, TP_SHAPE(n, width)));
    assert_ok(tp_tensor_new(&e.labels, TP_I64, TP_SHAPE(n)));
    assert_ok(tp_tensor_new(&e.index, TP_I64, TP_SHAPE(n)));
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < width; j++)
            assert_ok(tp_set_flat(&e.x, i * width + j, tp_flat(&from->x, place[i] * width + j)));
        ((int64_t *)tp_data_mut(&e.labels))[i] =
            ((const int64_t *)tp_data(&from->labels))[place[i]];
        ((int64_t *)tp_data_mut(&e.index))[i] = ((const int64_t *)tp_data(&from->index))[place[i]];
    }
    return e;
}

/* The same as a data set, whose labels are u8. */
static inline tp_dataset dataset_of(const examples *e)
{
    tp_dataset d = {0};
    int64_t n = e->x.shape.dim[0];
    assert_ok(tp_clone(&d.x, &e->x));
    assert_ok(tp_tensor_new(&d.labels, TP_U8, TP_SHAPE(n)));
    for (int64_t i = 0; i < n; i++)
        ((unsigned char *)tp_data_mut(&d.labels))[i] =
            (unsigned char)((const int64_t *)tp_data(&e->labels))[i];
    return d;
}

/* --- specimens ---------------------------------------------------------------------------------------------- */

typedef struct specimen {
    tp_model model;
    examples batch;
    tp_tape *tape;
} specimen;

static inline void specimen_make(specimen *s, const tp_model_type *type, tp_model_config config,
                                 tp_dtype dtype)
{
    assert_ok(tp_model_init(&s->model, type, config, dtype, 5));
    s->batch = examples_of(config.likelihood, dtype, BATCH, config.data_dim);
    assert_ok(tp_tape_new(&s->tape));
}

static inline void specimen_free(specimen *s)
{
    tp_tape_free(s->tape);
    examples_free(&s->batch);
    tp_model_free(&s->model);
}

/* A context that knows the examples. */
static inline tp_ctx train_ctx(tp_tape *t, const examples *e, uint64_t seed)
{
    tp_ctx c = tp_ctx_train(t, seed, LATE);
    c.index = &e->index;
    c.labels = &e->labels;
    return c;
}

static inline tp_ctx eval_ctx(tp_tape *t, const examples *e, uint64_t seed)
{
    tp_ctx c = tp_ctx_eval(t, seed, 0);
    c.index = &e->index;
    c.labels = &e->labels;
    return c;
}

/* The loss of some examples, without gradients, on an empty tape; *draws, if asked for: how many it made. */
static inline double loss_of(specimen *s, const examples *e, tp_mode mode, uint64_t seed,
                             uint64_t *draws)
{
    tp_tape_reset(s->tape);
    tp_no_grad_begin(s->tape);
    tp_ctx c = mode == TP_TRAIN ? train_ctx(s->tape, e, seed) : eval_ctx(s->tape, e, seed);
    uint64_t first = c.key.draw;
    tp_var total = tp_model_loss(&s->model, &c, tp_constant(s->tape, &e->x)).total;
    tp_no_grad_end(s->tape);
    assert_ok(tp_var_status(total));
    if (draws != NULL)
        *draws = c.key.draw - first;
    return tp_item_of(total);
}

/* Parameters and buffers of two models have the same bits. */
static inline bool same_state(const tp_params *a, const tp_params *b)
{
    bool same = a->n == b->n && a->buffers == b->buffers;
    for (int i = 0; same && i < a->n; i++)
        same = equal_bits(&a->item[i]->value, &b->item[i]->value);
    for (int i = 0; same && i < a->buffers; i++)
        same = equal_bits(&a->buffer[i]->value, &b->buffer[i]->value);
    return same;
}

/* Steps of Adam over all examples at once, late, when schedules have ended. */
static inline void train_on(tp_model *m, const examples *e, tp_dtype dtype, double lr, int epochs)
{
    tp_optimizer o;
    tp_batches b;
    tp_stats stats;
    tp_dataset d = dataset_of(e);
    tp_adam_opts adam = tp_adam_defaults();
    adam.lr = lr;
    assert_ok(tp_adam_init(&o, &m->params, adam));
    assert_ok(tp_batches_init(&b, &d, tp_dataset_size(&d), dtype));
    tp_trainer t = {.loss = tp_model_loss, .model = m, .optimizer = &o, .seed = 1, .step = LATE};
    assert_ok(tp_tape_new(&t.tape));
    for (uint64_t i = 0; i < (uint64_t)epochs; i++)
        assert_ok(tp_train_epoch(&t, &b, i, &stats));
    tp_tape_free(t.tape);
    tp_batches_free(&b);
    tp_optimizer_free(&o);
    tp_dataset_free(&d);
}

/* --- running them ------------------------------------------------------------------------------------------- */

static inline void row_test(void **state)
{
    const row *r = *state;
    r->check(r->type, r->likelihood);
}

/* A property that every row must have. */
typedef struct property {
    const char *name;
    void (*check)(const tp_model_type *type, tp_likelihood likelihood);
    bool once; /* for the default likelihood only: nothing in it depends on that */
} property;

/* All of them for all rows, and a file's other tests; the result of main. */
static inline int rows_run(const property *p, int n, const struct CMUnitTest *more, int extra)
{
    enum { TEXT = 100 };
    int room = n * tp_model_type_count * TP_LIKELIHOODS, used = 0;
    struct CMUnitTest *tests = calloc((size_t)(room + extra), sizeof *tests);
    row *rows = calloc((size_t)room, sizeof *rows);
    char(*names)[TEXT] = calloc((size_t)room, sizeof *names);
    for (int i = 0; i < n; i++)
        for (int t = 0; t < tp_model_type_count; t++) {
            const tp_model_type *type = tp_model_types[t];
            for (int l = 0; l < TP_LIKELIHOODS; l++) {
                bool is_default = l == (int)tp_model_defaults(type).likelihood;
                if (!row_allows(type, l) || (p[i].once && !is_default))
                    continue;
                rows[used] = (row){type, (tp_likelihood)l, p[i].check};
                snprintf(names[used], TEXT, "%s: %s%s%s", p[i].name, type->name,
                         p[i].once ? "" : ", ", p[i].once ? "" : tp_likelihood_name(l));
                tests[used] = (struct CMUnitTest){
                    .name = names[used], .test_func = row_test, .initial_state = &rows[used]};
                used++;
            }
        }
    for (int i = 0; i < extra; i++)
        tests[used++] = more[i];
    int failed = _cmocka_run_group_tests("rows", tests, (size_t)used, NULL, NULL);
    free(tests);
    free(rows);
    free(names);
    return failed != 0;
}

#endif
