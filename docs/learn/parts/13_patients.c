/* 13_patients.c: see 13_patients.h. */
#include "docs/learn/parts/13_patients.h"

#include <stdio.h>
#include <string.h>

/* --- the line ------------------------------------------------------------------------------------------- */

enum { POINTS = 64 };

tp_status fit_begin(fit *f, double lr)
{
    *f = (fit){.params = tp_params_make(TP_F64, 7)};
    tp_sgd_opts opts = tp_sgd_defaults();
    opts.lr = lr;
    TP_TRY(tp_tensor_new(&f->x, TP_F64, TP_SHAPE(POINTS, 1)));
    TP_TRY(tp_tensor_new(&f->y, TP_F64, TP_SHAPE(POINTS, 1)));
    TP_TRY(tp_random_uniform(&f->x, (tp_rng_key){.seed = 1}));
    TP_TRY(tp_random_normal(&f->y, (tp_rng_key){.seed = 2}));
    for (int64_t i = 0; i < POINTS; i++)
        TP_TRY(tp_set_flat(&f->y, i, 3 * tp_flat(&f->x, i) - 1 + 0.1 * tp_flat(&f->y, i)));
    TP_TRY(tp_view_reshape(&f->y, TP_SHAPE(POINTS), &f->y_flat));
    TP_TRY(tp_nn_linear_init(&f->line, &f->params, "line", 1, 1));
    TP_TRY(tp_nn_linear_init(&f->hidden, &f->params, "hidden", 1, 8));
    TP_TRY(tp_nn_linear_init(&f->out, &f->params, "out", 8, 1));
    TP_TRY(tp_sgd_init(&f->sgd, &f->params, opts));
    return tp_tape_new(&f->tape);
}

void fit_end(fit *f)
{
    tp_tape_free(f->tape);
    tp_optimizer_free(&f->sgd);
    tp_params_free(&f->params);
    tp_tensor_free(&f->x);
    tp_tensor_free(&f->y);
}

tp_var fit_line(fit *f, tp_tape *t)
{
    tp_ctx c = tp_ctx_train(t, 0, 0);
    return tp_nn_linear_apply(&f->line, &c, tp_constant(t, &f->x));
}

tp_status fit_step(fit *f, tp_var loss)
{
    tp_params_zero_grad(&f->params);
    TP_TRY(tp_backward(loss));
    return tp_optimizer_step(&f->sgd);
}

/* --- the VAE --------------------------------------------------------------------------------------------- */

enum { BATCH = 100, STEPS = 300 };
static tp_dataset digits, held;

static tp_status make(tp_model *m, const tp_model_type *type, int64_t hidden, int64_t nz)
{
    tp_model_config config = tp_model_defaults(type);
    config.data_dim = LEARN_PIXELS;
    config.hidden[0] = hidden;
    config.latent_dim = nz;
    if (digits.x.storage == NULL)
        TP_TRY(learn_digits(200, &digits, &held));
    return tp_model_init(m, type, config, TP_F64, 1);
}

tp_status patient_measure(patient *p, const tp_model_type *type, tp_stats *s)
{
    tp_tape *tape;
    tp_batches b;
    tp_model m = p->model;
    if (type != NULL)
        m.type = type;
    TP_TRY(tp_tape_new(&tape));
    TP_TRY(tp_batches_init(&b, &held, BATCH, TP_F64));
    tp_trainer t = {.tape = tape, .loss = tp_model_loss, .model = &m, .seed = 1};
    tp_status status = tp_evaluate(&t, &b, s);
    tp_batches_free(&b);
    tp_tape_free(tape);
    return status;
}

static bool enough(void *steps, const tp_stats *so_far)
{
    (void)so_far;
    return --*(int *)steps > 0;
}

static tp_status train(tp_model *m)
{
    tp_tape *tape;
    tp_batches b;
    tp_optimizer adam;
    tp_adam_opts opts = tp_adam_defaults();
    tp_stats s;
    int left = STEPS;
    opts.lr = 5e-3;
    TP_TRY(tp_tape_new(&tape));
    TP_TRY(tp_batches_init(&b, &digits, BATCH, TP_F64));
    TP_TRY(tp_adam_init(&adam, &m->params, opts));
    tp_trainer t = {.tape = tape,
                    .loss = tp_model_loss,
                    .model = m,
                    .optimizer = &adam,
                    .seed = 1,
                    .on_batch = enough,
                    .user = &left};
    while (left > 0)
        TP_TRY(tp_train_rest(&t, &b, &s));
    tp_optimizer_free(&adam);
    tp_batches_free(&b);
    tp_tape_free(tape);
    return TP_OK;
}

static void print_terms(const char *name, const char *when, const tp_stats *s)
{
    printf("%-18s %-15s loss %7.3f = recon %7.3f + kl %.3f\n", name, when, s->loss, s->term[0],
           s->term[1]);
}

tp_status patient_train(patient *p, const char *name, patient_loss loss)
{
    p->type = tp_model_vae;
    if (loss != NULL)
        p->type.loss = loss;
    TP_TRY(make(&p->model, &p->type, 64, 8));
    TP_TRY(patient_measure(p, NULL, &p->first));
    TP_TRY(train(&p->model));
    TP_TRY(patient_measure(p, NULL, &p->last));
    print_terms(name, "before training", &p->first);
    print_terms("", "after 300 steps", &p->last);
    return TP_OK;
}

void patient_free(patient *p)
{
    tp_model_free(&p->model);
}

tp_status patient_digits(int64_t n, tp_tensor *x)
{
    return learn_examples(&held, n, x);
}

/* --- gradient checks --------------------------------------------------------------------------------------- */

void print_verdict(tp_status s, const tp_check_report *r)
{
    const char *says = tp_last_error(), *numbers = strstr(says, ": analytic");
    if (s == TP_OK)
        printf("gradient check: %d numbers, all right\n", (int)r->checked);
    else if (numbers != NULL)
        printf("%.*s: analytic %.4g, numeric %.4g\n", (int)(numbers - says), says, r->analytic,
               r->numeric);
    else
        printf("%s\n", says);
}

tp_status check_loss(patient_loss loss)
{
    tp_model m;
    tp_model_type type = tp_model_vae;
    tp_batch few = {.n = 4};
    tp_check_report report;
    type.loss = loss;
    TP_TRY(make(&m, &type, 6, 2));
    TP_TRY(learn_examples(&digits, few.n, &few.x));
    print_verdict(tp_model_gradcheck(&m, &few, (tp_check_opts){0}, &report), &report);
    tp_tensor_free(&few.x);
    tp_model_free(&m);
    return TP_OK;
}
